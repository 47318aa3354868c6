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

Frame Decoded(const Payload& bytes) {
  absl::StatusOr<Frame> frame = DecodeFrame(bytes);
  INFO(frame.status());
  REQUIRE(frame.ok());
  return *std::move(frame);
}

Frame FrameOfParts(std::initializer_list<size_t> sizes) {
  Frame frame;
  for (const size_t size : sizes) {
    frame.parts.emplace_back().data = PatternBytes(size, static_cast<unsigned>(size));
  }
  return frame;
}

TEST_CASE("a frame is decoded to what was encoded", "[frame]") {
  for (const auto& [name, frame] : testing::SampleFrames()) {
    CAPTURE(name);
    CHECK(FrameJson(Decoded(EncodeFrame(frame))) == FrameJson(frame));
  }
}

TEST_CASE("random frames are decoded to what was encoded, whatever the slices", "[frame]") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const Frame frame = testing::RandomFrame(random);
    const std::string bytes = EncodeFrame(frame).ToString();
    REQUIRE(FrameJson(Decoded(CutEvery(bytes, 1 + random() % 90))) == FrameJson(frame));
  }
}

TEST_CASE("a frame may be cut at every byte", "[frame]") {
  for (const auto& [name, frame] : testing::SampleFrames()) {
    if (name == "extremes") continue;
    CAPTURE(name);
    const std::string bytes = EncodeFrame(frame).ToString();
    const std::string expected = FrameJson(frame);
    REQUIRE(FrameJson(Decoded(CutEvery(bytes, 1))) == expected);
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      CAPTURE(cut);
      Payload two = Payload::CopyOf(bytes.substr(0, cut));
      two.Append(Payload::CopyOf(bytes.substr(cut)));
      REQUIRE(FrameJson(Decoded(two)) == expected);
    }
  }
}

TEST_CASE("a decoded part outlives the frame's payload", "[frame]") {
  Payload bytes = CutEvery(EncodeFrame(FrameOfParts({200, 100})).ToString(), 7);
  Frame frame = Decoded(bytes);
  bytes = Payload();
  const Payload part = frame.parts[1].data;
  frame = Frame();
  CHECK(part.ToString() == PatternBytes(100, 100).ToString());
}

TEST_CASE("parts begin at multiples of 64 and the gaps are zeros", "[frame]") {
  const std::string bytes = EncodeFrame(FrameOfParts({1, 0, 65, 64, 63})).ToString();
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
  Frame frame;
  frame.parts.emplace_back().message =
      std::string(kErrorTextBytesMax - 1, 'a') + "\xe2\x82\xac tail";
  frame.parts.emplace_back().message = "\xff bytes of a key\x80";
  const Frame decoded = Decoded(EncodeFrame(frame));
  CHECK(decoded.parts[0].message == std::string(kErrorTextBytesMax - 1, 'a'));
  CHECK(decoded.parts[1].message == "? bytes of a key?");
}

TEST_CASE("4096 parts are decoded and one more is refused", "[frame]") {
  Frame frame;
  frame.parts.resize(kPartsPerFrameMax);
  frame.keys.resize(kPartsPerFrameMax);
  CHECK(Decoded(EncodeFrame(frame)).parts.size() == kPartsPerFrameMax);
  SECTION("part") { frame.parts.emplace_back(); }
  SECTION("key") { frame.keys.emplace_back(); }
  if (frame.parts.size() + frame.keys.size() == 2 * kPartsPerFrameMax) return;
  const absl::Status status = DecodeFrame(EncodeFrame(frame)).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), Catch::Contains("at most 4096"));
}

TEST_CASE("a frame of 4 MiB is decoded and one byte more is refused", "[frame]") {
  Frame frame = FrameOfParts({kFrameBytesMax - 64});
  const size_t header = EncodeFrame(frame).size() - (kFrameBytesMax - 64);
  frame.parts[0].data = PatternBytes(kFrameBytesMax - header, 1);
  REQUIRE(EncodeFrame(frame).size() == kFrameBytesMax);
  CHECK(Decoded(EncodeFrame(frame)).parts[0].data.size() == kFrameBytesMax - header);

  frame.parts[0].data = PatternBytes(kFrameBytesMax - header + 1, 1);
  const absl::Status status = DecodeFrame(EncodeFrame(frame)).status();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(status.message()), Catch::Contains("4194304 bytes expected, got 4194305"));
}

TEST_CASE("an absent protocol version is 0", "[frame]") {
  CHECK(Decoded(Payload()).header.protocol == 0);
  CHECK(Decoded(EncodeFrame(Frame{})).header.protocol == kProtocolVersion);
}

TEST_CASE("KeySpecs are found in any order", "[frame]") {
  constexpr size_t kKeys = 50;
  Frame frame;
  std::mt19937_64 random(1);
  for (size_t i = 0; i < kKeys; ++i) {
    PartEntry& entry = frame.parts.emplace_back();
    entry.op = Op::kInit;
    entry.key = i;
    entry.request = i + 1;
    frame.keys.emplace_back().key = i;
  }
  const bool shuffle = GENERATE(false, true);
  if (shuffle) std::shuffle(frame.keys.begin(), frame.keys.end(), random);
  for (const PartEntry& entry : frame.parts) {
    const KeySpec* spec = FindKeySpec(frame, entry);
    REQUIRE(spec != nullptr);
    REQUIRE(spec->key == entry.key);
    // An entry that is not of the frame's own vector.
    REQUIRE(FindKeySpec(frame, PartEntry(entry)) == spec);
  }
}

}  // namespace
}  // namespace kvstore
