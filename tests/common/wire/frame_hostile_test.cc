// Bytes that no honest peer sends: each gets INVALID_ARGUMENT, and what is accepted is what
// protobuf reads too. Run under AddressSanitizer, each slice being memory of its own.
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "common/wire/frame.h"
#include "tests/common/wire/frame_oracle.h"
#include "tests/common/wire/sample_frames.h"

namespace kvstore {
namespace {

using testing::CutEvery;
using testing::FrameJson;
using testing::OracleDecode;

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

template <typename Frame>
void CheckRefused(const std::string& bytes, const std::string& why) {
  for (const size_t cut : {size_t{1}, size_t{3}, size_t{1} << 20}) {
    CAPTURE(cut);
    const absl::Status status = DecodeFrame<Frame>(CutEvery(bytes, cut)).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), Catch::Contains(why));
  }
}

// What is accepted must be what protobuf makes of the same bytes.
template <typename Frame>
void CheckAgrees(const std::string& bytes, size_t cut) {
  const absl::StatusOr<Frame> frame = DecodeFrame<Frame>(CutEvery(bytes, cut));
  if (!frame.ok()) {
    REQUIRE(frame.status().code() == absl::StatusCode::kInvalidArgument);
    return;
  }
  const absl::StatusOr<Frame> oracle = OracleDecode<Frame>(bytes);
  REQUIRE(oracle.ok());
  REQUIRE(FrameJson(*frame) == FrameJson(*oracle));
}

TEMPLATE_TEST_CASE("malformed fields are refused with what was expected", "[frame][hostile]",
                   RequestFrame, ReplyFrame) {
  const auto [bytes, why] = GENERATE(table<std::string, std::string>({
      {Bytes({0x00, 0x01}), "field number of at least 1 expected, got 0"},
      {Bytes({0x07}), "field number of at least 1 expected, got 0"},
      {Bytes({0x0b, 0x0c}), "wire type 1 expected in field 1, got 3"},  // a group, field known
      {Bytes({0x63, 0x64}), "wire type 0, 1, 2 or 5 expected in field 12, got 3"},
      {Bytes({0x64}), "got 4"},
      {Bytes({0x66}), "got 6"},
      {Bytes({0x67}), "got 7"},
      {Bytes({0x80}), "tag"},                                      // truncated tag
      {Bytes({0x90, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01}), "tag"},  // tag of 6 bytes
      {Bytes({0xf8, 0xff, 0xff, 0xff, 0x1f, 0x01}), "tag"},        // tag of 33 bits
      {Bytes({0x10}), "varint"},                                   // no value
      {Bytes({0x10, 0x80}), "varint"},                             // truncated value
      {Bytes({0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}), "varint"},
      {Bytes({0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}), "64 bits"},
      {Bytes({0x12, 0x00}), "wire type 0 expected in field 2, got 2"},
      {Bytes({0x0d, 1, 2, 3, 4}), "wire type 1 expected in field 1, got 5"},
      {Bytes({0x09, 1, 2, 3, 4, 5, 6, 7}), "8 bytes expected, got 7"},
      {Bytes({0x65, 1, 2, 3}), "4 bytes expected, got 3"},
      {Bytes({0x61, 1, 2, 3}), "8 bytes expected, got 3"},
      {Bytes({0x62, 0x05, 1, 2, 3, 4}), "5 bytes expected, got 4"},
      {Bytes({0x42, 0x05, 0x08, 0x01}), "5 bytes expected, got 2"},
      {Bytes({0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}), "truncated"},
      {Bytes({0x7a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}), "truncated"},
      {Bytes({0x40, 0x01}), "wire type 2 expected in field 8, got 0"},
      {Bytes({0x42, 0x02, 0x08, 0x80, 0x01}),
       "Entry at byte 3: a varint"},                                // varint beyond its message
      {Bytes({0x42, 0x03, 0x11, 0x00, 0x00}), "8 bytes expected"},  // fixed64 beyond its message
      {Bytes({0x4a, 0x03, 0x12, 0x01, 0x80}), "KeySpec"},
      {Bytes({0x4a, 0x03, 0x22, 0x01, 0x80}), "packed varint"},
      {Bytes({0x7a, 0x00, 0x7a, 0x00}), "one payload expected, got a second"},
      {Bytes({0x7a, 0x01, 'a'}), "payload of 0 bytes expected for 0 entries, got 1"},
      {Bytes({0x42, 0x02, 0x30, 0x02, 0x7a, 0x01, 'a'}), "payload_bytes 2 at offset 0"},
      {Bytes({0x42, 0x02, 0x30, 0x01}), "got a payload of 0"},
      {Bytes({0x42, 0x05, 0x30, 0x01, 0x3a, 0x01, 0x01, 0x7a, 0x01, 'a'}), "with `also`"},
      {Bytes({0x42, 0x09, 0x18, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x3a, 0x01, 0x01}),
       "past the last part"},
      {Bytes({0x42, 0x43, 0x3a, 0x41}) + std::string(65, '\1'), "at most 64 bytes"},
      {Bytes({0x42, 0x06, 0x30, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7a, 0x01, 'a'}), "4294967295"},
  }));
  CAPTURE(why);
  CheckRefused<TestType>(bytes, why);
}

TEST_CASE("malformed fields of requests are refused with what was expected", "[frame][hostile]") {
  const auto [bytes, why] = GENERATE(table<std::string, std::string>({
      {Bytes({0x52, 0x04, 0x0a, 0x02, 0xc0, 0x80}), "UTF-8"},
      {Bytes({0x52, 0x05, 0x12, 0x03, 0x0a, 0x01, 0xff}), "UTF-8"},
      {Bytes({0x52, 0x04, 0x12, 0x02, 0x10, 0x01}), "wire type 1 expected in field 2, got 0"},
  }));
  CAPTURE(why);
  CheckRefused<RequestFrame>(bytes, why);
}

TEST_CASE("malformed fields of replies are refused with what was expected", "[frame][hostile]") {
  const auto [bytes, why] = GENERATE(table<std::string, std::string>({
      {Bytes({0x42, 0x03, 0x52, 0x02, 'a', 'b'}), "2 bytes expected, got 1"},
      {Bytes({0x42, 0x03, 0x52, 0x01, 0xff}), "UTF-8 expected in field 10, got byte 0xff"},
      {Bytes({0x42, 0x03, 0x62, 0x01, 0x80}), "packed varint"},
      {Bytes({0x42, 0x05, 0x65, 1, 2, 3, 4}), "wire type 2 expected in field 12, got 5"},
      {Bytes({0x42, 0x06, 0x52, 0x01, 'a', 0x3a, 0x01, 0x01}), "with `also`"},
  }));
  CAPTURE(why);
  CheckRefused<ReplyFrame>(bytes, why);
}

TEST_CASE("entries that stand for others count against the limit of entries", "[frame][hostile]") {
  // 513 entries each: itself, and a bit for each of 512 others.
  const std::string entry = Bytes({0x42, 0x42, 0x3a, 0x40}) + std::string(64, '\xff');
  std::string bytes;
  for (int i = 0; i < 7; ++i) bytes += entry;
  const absl::StatusOr<RequestFrame> frame = DecodeFrame<RequestFrame>(Payload::CopyOf(bytes));
  REQUIRE(frame.ok());
  CHECK(frame->entries.size() == 7 * 513);
  CheckRefused<RequestFrame>(bytes + entry, "at most 4096 entries expected, got more");
}

TEMPLATE_TEST_CASE("every truncation of a frame is refused or is a shorter frame to protobuf too",
                   "[frame][hostile]", RequestFrame, ReplyFrame) {
  for (const auto& [name, frame] : testing::SampleFrames<TestType>()) {
    CAPTURE(name);
    const std::string bytes = EncodeFrame(frame).ToString();
    for (size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CheckAgrees<TestType>(bytes.substr(0, size), 1 + size % 7);
    }
  }
}

TEST_CASE("a frame with bytes is refused when any of its end is missing", "[frame][hostile]") {
  RequestFrame frame;
  frame.entries.emplace_back().piece.data = testing::PatternBytes(65, 1);
  frame.entries.emplace_back().piece.data = testing::PatternBytes(3, 1);
  const std::string bytes = EncodeFrame(frame).ToString();
  for (size_t size = 1; size < bytes.size(); ++size) {
    CAPTURE(size);
    const absl::StatusOr<RequestFrame> decoded =
        DecodeFrame<RequestFrame>(CutEvery(bytes.substr(0, size), 16));
    // Two bytes are a whole frame: the protocol version alone.
    if (size == 2) {
      CHECK(decoded.ok());
    } else {
      CHECK(decoded.status().code() == absl::StatusCode::kInvalidArgument);
    }
  }
}

TEMPLATE_TEST_CASE("20,000 frames with flipped bits never crash, and those accepted are protobuf's",
                   "[frame][hostile]", RequestFrame, ReplyFrame) {
  const uint64_t seed = 20240229;
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<std::string> samples;
  for (const auto& [name, frame] : testing::SampleFrames<TestType>()) {
    const std::string bytes = EncodeFrame(frame).ToString();
    if (!bytes.empty()) samples.push_back(bytes);
  }
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = samples[random() % samples.size()];
    for (uint64_t flips = 1 + random() % 4; flips > 0; --flips) {
      const uint64_t bit = random() % (8 * std::min<size_t>(bytes.size(), 200));
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    }
    CAPTURE(i);
    CheckAgrees<TestType>(bytes, 1 + random() % 64);
  }
}

TEMPLATE_TEST_CASE("random bytes never crash", "[frame][hostile]", RequestFrame, ReplyFrame) {
  const uint64_t seed = 99;
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    CAPTURE(i);
    CheckAgrees<TestType>(bytes, 1 + random() % 5);
  }
}

}  // namespace
}  // namespace kvstore
