#include "common/wire/state_page.h"

#include <catch2/catch.hpp>
#include <string>

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

StatePage Full() {
  StatePage page;
  page.verb = StateVerb::kPage;
  page.info.updater = "adam";
  page.info.names = {"mean", "var"};
  page.info.dtype = DType::kFloat32;
  page.info.one_per_row = true;
  page.info.counted = true;
  page.info.kept = true;
  page.info.updates = 0x0102030405060708;
  page.tensor = 1;
  page.from = 5;
  page.to = 1u << 20;
  page.more = true;
  page.rows = 2;
  page.data = Payload::CopyOf(std::string(24, 'x'));
  return page;
}

absl::Status Refused(std::string bytes, size_t at, char value) {
  bytes[at] = value;
  return DecodeStatePage(Payload::CopyOf(bytes)).status();
}

TEST_CASE("a page is decoded as it was encoded", "[states]") {
  const StatePage page = Full();
  const absl::StatusOr<StatePage> decoded = DecodeStatePage(EncodeStatePage(page));
  REQUIRE(decoded.ok());
  CHECK(decoded->info.updater == "adam");
  CHECK(decoded->info.names == page.info.names);
  CHECK(decoded->info.SameKind(page.info));
  CHECK(decoded->info.one_per_row);
  CHECK(decoded->info.counted);
  CHECK(decoded->info.kept);
  CHECK(decoded->info.updates == page.info.updates);
  CHECK(decoded->tensor == 1);
  CHECK(decoded->from == 5);
  CHECK(decoded->to == 1u << 20);
  CHECK(decoded->more);
  CHECK(decoded->rows == 2);
  CHECK(decoded->data.ToString() == std::string(24, 'x'));
  StatePage commit;
  commit.verb = StateVerb::kCommit;
  CHECK(DecodeStatePage(EncodeStatePage(commit))->verb == StateVerb::kCommit);
}

TEST_CASE("bytes that are no page are refused", "[states]") {
  const std::string bytes = EncodeStatePage(Full()).ToString();
  // 36 bytes of numbers, 5 and 5 and 4 of names, and the data.
  REQUIRE(bytes.size() == 36 + 5 + 5 + 4 + 24);
  for (size_t size = 0; size < 36 + 5 + 5 + 4 + 16; ++size) {
    CAPTURE(size);
    const absl::Status status = DecodeStatePage(Payload::CopyOf(bytes.substr(0, size))).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK_THAT(std::string(Refused(bytes, 0, 2).message()), Contains("format 1 expected, got 2"));
  CHECK_THAT(std::string(Refused(bytes, 1, 3).message()), Contains("verb 0 to 2 expected, got 3"));
  CHECK_THAT(std::string(Refused(bytes, 2, 32).message()), Contains("flags up to 31 expected"));
  CHECK_THAT(std::string(Refused(bytes, 4, '\xf9').message()),
             Contains("at most 248 tensors expected"));
  CHECK_THAT(std::string(Refused(bytes, 6, 1).message()), Contains("flags"));
  CHECK_THAT(std::string(Refused(bytes, 41, 0).message()), Contains("an empty one"));
  StatePage backwards = Full();
  backwards.from = backwards.to + 1;
  CHECK_THAT(std::string(DecodeStatePage(EncodeStatePage(backwards)).status().message()),
             Contains("a range expected"));
}

TEST_CASE("where a page begins is 16 bytes", "[states]") {
  const Payload bytes = EncodeStateCursor({3, 1u << 30, true});
  CHECK(bytes.size() == 16);
  const absl::StatusOr<StateCursor> cursor = DecodeStateCursor(bytes);
  REQUIRE(cursor.ok());
  CHECK(cursor->tensor == 3);
  CHECK(cursor->from == 1u << 30);
  CHECK(cursor->info_only);
  CHECK_FALSE(DecodeStateCursor(bytes.Sub(0, 15)).ok());
  std::string text = bytes.ToString();
  text[4] = 2;
  CHECK_FALSE(DecodeStateCursor(Payload::CopyOf(text)).ok());
}

TEST_CASE("what an updater keeps is described in words", "[states]") {
  StateInfo info;
  info.updater = "sgd";
  CHECK(Described(info) == "sgd: nothing");
  info.counted = true;
  CHECK(Described(info) == "sgd: a count of updates");
  info.names = {"history"};
  info.dtype = DType::kFloat16;
  info.one_per_row = true;
  CHECK(Described(info) == "sgd: history of f16, one per row");
}

}  // namespace
}  // namespace kvstore
