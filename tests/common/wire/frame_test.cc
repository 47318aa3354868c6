// Frames by themselves: round trips, layout, limits, names.
#include "common/wire/frame.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "tests/common/wire/frame_oracle.h"
#include "tests/common/wire/sample_frames.h"

namespace kvstore {
namespace {

using testing::CutEvery;
using testing::FrameJson;
using testing::PatternBytes;

template <typename Frame>
Frame Decoded(const Payload& bytes) {
  absl::StatusOr<Frame> frame = DecodeFrame<Frame>(bytes);
  INFO(frame.status());
  REQUIRE(frame.ok());
  return *std::move(frame);
}

RequestFrame FrameOfEntries(std::initializer_list<size_t> sizes) {
  RequestFrame frame;
  for (const size_t size : sizes) {
    frame.entries.emplace_back().piece.data = PatternBytes(size, static_cast<unsigned>(size));
  }
  return frame;
}

TEMPLATE_TEST_CASE("a frame is decoded to what was encoded", "[frame]", RequestFrame, ReplyFrame) {
  for (const auto& [name, frame] : testing::SampleFrames<TestType>()) {
    CAPTURE(name);
    CHECK(FrameJson(Decoded<TestType>(EncodeFrame(frame))) == FrameJson(frame));
  }
}

TEMPLATE_TEST_CASE("random frames are decoded to what was encoded, whatever the slices", "[frame]",
                   RequestFrame, ReplyFrame) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const TestType frame = testing::RandomFrame<TestType>(random);
    const std::string bytes = EncodeFrame(frame).ToString();
    REQUIRE(FrameJson(Decoded<TestType>(CutEvery(bytes, 1 + random() % 90))) == FrameJson(frame));
  }
}

TEMPLATE_TEST_CASE("a frame may be cut at every byte", "[frame]", RequestFrame, ReplyFrame) {
  for (const auto& [name, frame] : testing::SampleFrames<TestType>()) {
    if (name == "extremes") continue;
    CAPTURE(name);
    const std::string bytes = EncodeFrame(frame).ToString();
    const std::string expected = FrameJson(frame);
    REQUIRE(FrameJson(Decoded<TestType>(CutEvery(bytes, 1))) == expected);
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      CAPTURE(cut);
      Payload two = Payload::CopyOf(bytes.substr(0, cut));
      two.Append(Payload::CopyOf(bytes.substr(cut)));
      REQUIRE(FrameJson(Decoded<TestType>(two)) == expected);
    }
  }
}

TEST_CASE("a reply echoes its request and has nothing else yet", "[frame]") {
  RequestEntry request;
  request.op = Op::kPush;
  request.key = 17;
  request.part = 2;
  request.round = 3;
  request.request = 4;
  request.piece.data = PatternBytes(8, 1);
  const ReplyEntry reply(request, absl::NotFoundError("no Init"));
  CHECK(reply.op == Op::kPush);
  CHECK(reply.id() == PartId{17, 2});
  CHECK(reply.round == 3);
  CHECK(reply.request == 4);
  CHECK(reply.code == absl::StatusCode::kNotFound);
  CHECK(reply.message == "no Init");
  CHECK(reply.progress == Progress::kUnspecified);
  CHECK(reply.data.empty());
}

TEST_CASE("an entry's bytes outlive the frame's payload", "[frame]") {
  Payload bytes = CutEvery(EncodeFrame(FrameOfEntries({200, 100})).ToString(), 7);
  RequestFrame frame = Decoded<RequestFrame>(bytes);
  bytes = Payload();
  const Payload part = frame.entries[1].piece.data;
  frame = RequestFrame();
  CHECK(part.ToString() == PatternBytes(100, 100).ToString());
}

TEST_CASE("entries begin at multiples of 64 and the gaps are zeros", "[frame]") {
  const std::string bytes = EncodeFrame(FrameOfEntries({1, 0, 65, 64, 63})).ToString();
  const size_t payload_bytes = 64 + 128 + 64 + 63;
  REQUIRE(bytes.size() > payload_bytes);
  const std::string payload = bytes.substr(bytes.size() - payload_bytes);
  CHECK(payload.substr(0, 1) == PatternBytes(1, 1).ToString());
  CHECK(payload.substr(1, 63) == std::string(63, '\0'));
  CHECK(payload.substr(64, 65) == PatternBytes(65, 65).ToString());
  CHECK(payload.substr(129, 63) == std::string(63, '\0'));
  CHECK(payload.substr(192, 64) == PatternBytes(64, 64).ToString());
  CHECK(payload.substr(256) == PatternBytes(63, 63).ToString());
}

TEST_CASE("a message is cut to 1 KiB of valid UTF-8", "[frame]") {
  ReplyFrame frame;
  frame.entries.emplace_back().message =
      std::string(kErrorTextBytesMax - 1, 'a') + "\xe2\x82\xac tail";
  frame.entries.emplace_back().message = "\xff bytes of a key\x80";
  const auto decoded = Decoded<ReplyFrame>(EncodeFrame(frame));
  CHECK(decoded.entries[0].message == std::string(kErrorTextBytesMax - 1, 'a'));
  CHECK(decoded.entries[1].message == "? bytes of a key?");
}

TEMPLATE_TEST_CASE("4096 entries are decoded and one more is refused", "[frame]", RequestFrame,
                   ReplyFrame) {
  TestType frame;
  frame.entries.resize(kEntriesPerFrameMax);
  frame.keys.resize(kEntriesPerFrameMax);
  CHECK(Decoded<TestType>(EncodeFrame(frame)).entries.size() == kEntriesPerFrameMax);
  SECTION("entry") { frame.entries.emplace_back(); }
  SECTION("key") { frame.keys.emplace_back(); }
  if (frame.entries.size() + frame.keys.size() == 2 * kEntriesPerFrameMax) return;
  const absl::Status status = DecodeFrame<TestType>(EncodeFrame(frame)).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), Catch::Contains("at most 4096"));
}

TEST_CASE("a frame of 4 MiB is decoded and one byte more is refused", "[frame]") {
  RequestFrame frame = FrameOfEntries({kFrameBytesMax - 64});
  const size_t header = EncodeFrame(frame).size() - (kFrameBytesMax - 64);
  frame.entries[0].piece.data = PatternBytes(kFrameBytesMax - header, 1);
  REQUIRE(EncodeFrame(frame).size() == kFrameBytesMax);
  CHECK(Decoded<RequestFrame>(EncodeFrame(frame)).entries[0].piece.data.size() ==
        kFrameBytesMax - header);

  frame.entries[0].piece.data = PatternBytes(kFrameBytesMax - header + 1, 1);
  const absl::Status status = DecodeFrame<RequestFrame>(EncodeFrame(frame)).status();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(status.message()), Catch::Contains("4194304 bytes expected, got 4194305"));
}

TEMPLATE_TEST_CASE("an absent protocol version is 0", "[frame]", RequestFrame, ReplyFrame) {
  CHECK(Decoded<TestType>(Payload()).header.protocol == 0);
  CHECK(Decoded<TestType>(EncodeFrame(TestType{})).header.protocol == kProtocolVersion);
}

TEMPLATE_TEST_CASE("KeySpecs are found in any order", "[frame]", RequestFrame, ReplyFrame) {
  constexpr size_t kKeys = 50;
  TestType frame;
  std::mt19937_64 random(1);
  for (size_t i = 0; i < kKeys; ++i) {
    auto& entry = frame.entries.emplace_back();
    entry.op = Op::kInit;
    entry.key = i;
    entry.request = i + 1;
    frame.keys.emplace_back().key = i;
  }
  const bool shuffle = GENERATE(false, true);
  if (shuffle) std::shuffle(frame.keys.begin(), frame.keys.end(), random);
  for (const auto& entry : frame.entries) {
    const KeySpec* spec = FindKeySpec(frame, entry);
    REQUIRE(spec != nullptr);
    REQUIRE(spec->key == entry.key);
    // An entry that is not of the frame's own vector.
    const auto copy = entry;
    REQUIRE(FindKeySpec(frame, copy) == spec);
  }
}

}  // namespace
}  // namespace kvstore
