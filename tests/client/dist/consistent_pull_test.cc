// A reader's pull at one round, answer by answer.
#include "client/dist/consistent_pull.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/cluster/partitioner.h"
#include "tests/client/dist/operations.h"

namespace kvstore {
namespace {

using testing::OperationOn;
using testing::Underway;

constexpr int64_t kPartElements = int64_t{kPartBytesMax} / 4;
constexpr int64_t kElements = 2 * kPartElements + 5;  // three parts

// What was asked last, by part: the version that it names.
using Asked = std::map<PartIndex, Round>;

struct Fixture {
  Fixture() {
    std::memset(output.data(), 0xff, output.bytes());
    pull = std::make_shared<ConsistentPull>(
        ConsistentPull::Operations{OperationOn(OperationKind::kPull, output, {}, {output})},
        underway.token, std::make_shared<PlainCodec>());
    underway.token = nullptr;
    Note(pull->Asks());
  }

  void Note(const PartAsks& asks) {
    for (const PartAsk& ask : asks) {
      CHECK(ask.request.op == Op::kPull);
      CHECK(ask.request.id.part == ask.index);
      asked[ask.request.id.part] = ask.request.version;
    }
  }

  // Every element of the answer is its version. Returns what is asked next.
  Asked Answer(PartIndex part, Round version, absl::Status status = absl::OkStatus()) {
    asked.clear();
    Completion done;
    done.id = {17, part};
    done.round = version;
    const std::vector<float> elements(PartBytes(output.bytes(), part) / 4,
                                      static_cast<float>(version));
    if (status.ok()) {
      done.data = Payload::CopyOf(std::string(reinterpret_cast<const char*>(elements.data()),
                                              elements.size() * sizeof(float)));
    }
    done.status = std::move(status);
    Note(pull->OnPart(Op::kPull, part, std::move(done)));
    return asked;
  }

  bool Untouched() const {
    const std::string bytes(static_cast<const char*>(output.data()), output.bytes());
    return bytes == std::string(output.bytes(), '\xff');
  }

  Underway underway;
  NDArray output{{kElements}};
  std::shared_ptr<ConsistentPull> pull;
  Asked asked;
};

}  // namespace

TEST_CASE("a consistent pull of parts that rest asks each once", "[dist][reader]") {
  Fixture f;
  CHECK(f.asked == Asked{{0, 0}, {1, 0}, {2, 0}});
  CHECK(f.Answer(2, 7).empty());
  CHECK(f.Answer(0, 7).empty());
  CHECK(f.Untouched());
  CHECK(f.Answer(1, 7).empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome().ok());
  for (int64_t i = 0; i < kElements; ++i) REQUIRE(f.output.data_as<float>()[i] == 7);
}

TEST_CASE("a consistent pull asks parts that are behind for the highest round that came",
          "[dist][reader]") {
  Fixture f;
  f.Answer(0, 7);
  f.Answer(1, 8);
  CHECK(f.Answer(2, 7) == Asked{{0, 8}, {2, 8}});
  CHECK(f.Answer(0, 8).empty());
  CHECK(f.Untouched());
  CHECK(f.Answer(2, 8).empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome().ok());
  for (int64_t i = 0; i < kElements; ++i) REQUIRE(f.output.data_as<float>()[i] == 8);
}

TEST_CASE("a consistent pull goes on while rounds pass, and ends when all is of one",
          "[dist][reader]") {
  Fixture f;
  f.Answer(0, 7);
  f.Answer(1, 8);
  CHECK(f.Answer(2, 9) == Asked{{0, 9}, {1, 9}});
  f.Answer(0, 11);
  CHECK(f.Answer(1, 10) == Asked{{1, 11}, {2, 11}});
  f.Answer(2, 11);
  CHECK(f.Untouched());
  CHECK(f.Answer(1, 11).empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome().ok());
  for (int64_t i = 0; i < kElements; ++i) REQUIRE(f.output.data_as<float>()[i] == 11);
}

TEST_CASE("a consistent pull fails with the first failure and writes nothing", "[dist][reader]") {
  Fixture f;
  f.Answer(0, 7);
  CHECK(f.Answer(1, 0, absl::NotFoundError("key 17: gone")).empty());
  CHECK(f.Answer(2, 8).empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome() == absl::NotFoundError("key 17: gone"));
  CHECK(f.Untouched());
}

TEST_CASE("a consistent pull writes nothing of parts of which one has not the size expected",
          "[dist][reader]") {
  Fixture f;
  f.Answer(0, 7);
  f.Answer(1, 7);
  Completion done;
  done.id = {17, 2};
  done.round = 7;
  done.data = Payload::CopyOf(std::string(3, 'x'));
  const PartAsks next = f.pull->OnPart(Op::kPull, 2, std::move(done));
  CHECK(next.empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome() ==
        absl::InternalError("key 17 part 2: 20 bytes expected, the server sent 3"));
  CHECK(f.Untouched());
}

}  // namespace kvstore
