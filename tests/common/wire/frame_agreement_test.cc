// Our encoder and decoder against protobuf's own: each reads what the other writes, also in the
// forms that protobuf allows and nobody's encoder writes.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "common/wire/frame.h"
#include "tests/common/wire/frame_oracle.h"
#include "tests/common/wire/sample_frames.h"

namespace kvstore {
namespace {

using testing::CutEvery;
using testing::FrameJson;
using testing::OracleDecode;
using testing::ToProto;

// With the entries of maps in order, as our encoder writes them.
std::string Serialized(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80u);
  return bytes + static_cast<char>(value);
}

std::string Delimited(uint32_t field, const std::string& bytes) {
  return Varint(field << 3 | 2u) + Varint(bytes.size()) + bytes;
}

template <typename Frame>
std::string Json(const std::string& bytes) {
  absl::StatusOr<Frame> frame = DecodeFrame<Frame>(CutEvery(bytes, 5));
  return frame.ok() ? FrameJson(*frame) : frame.status().ToString();
}

template <typename Frame>
std::string OracleJson(const std::string& bytes) {
  absl::StatusOr<Frame> frame = OracleDecode<Frame>(bytes);
  return frame.ok() ? FrameJson(*frame) : frame.status().ToString();
}

TEMPLATE_TEST_CASE("the encoder writes protobuf's bytes", "[frame][protobuf]", RequestFrame,
                   ReplyFrame) {
  for (const auto& [name, frame] : testing::SampleFrames<TestType>()) {
    CAPTURE(name);
    CHECK(EncodeFrame(frame).ToString() == Serialized(ToProto(frame)));
  }
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const TestType frame = testing::RandomFrame<TestType>(random);
    REQUIRE(EncodeFrame(frame).ToString() == Serialized(ToProto(frame)));
  }
}

TEMPLATE_TEST_CASE("protobuf reads what the encoder writes", "[frame][protobuf]", RequestFrame,
                   ReplyFrame) {
  for (const auto& [name, frame] : testing::SampleFrames<TestType>()) {
    CAPTURE(name);
    CHECK(OracleJson<TestType>(EncodeFrame(frame).ToString()) == FrameJson(frame));
  }
}

TEST_CASE("a push to 61 stripes of which one has rows takes three entries", "[frame][protobuf]") {
  RequestFrame frame;
  for (PartIndex stripe = 0; stripe < 61; ++stripe) {
    RequestEntry& push = frame.entries.emplace_back();
    push.op = Op::kPush;
    push.key = KeyIdOf(int64_t{9});
    push.part = stripe;
    push.round = 100;
    push.request = 1000 + stripe;
    if (stripe == 20) push.piece.data = testing::PatternBytes(64, 1);
  }
  const std::string bytes = EncodeFrame(frame).ToString();
  v1::RequestFrame proto;
  REQUIRE(proto.ParseFromString(bytes));
  CHECK(proto.entries_size() == 3);
  CHECK(bytes.size() < 200);
  CHECK(Json<RequestFrame>(bytes) == FrameJson(frame));
}

// The fields of a message one by one, each as bytes that are a message themselves: any order of
// them that keeps repeated fields in order is the same message. Each field is a run of the bytes
// that protobuf writes; runs of one field number stay in order.
struct Chunk {
  uint32_t field;
  std::string bytes;
};

std::vector<Chunk> Chunks(const std::string& message) {
  std::vector<Chunk> chunks;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(message.data()),
                                            static_cast<int>(message.size()));
  int start = 0;
  while (const uint32_t tag = in.ReadTag()) {
    uint64_t value = 0;
    if ((tag & 7u) == 0) {
      REQUIRE(in.ReadVarint64(&value));
    } else if ((tag & 7u) == 1) {
      REQUIRE(in.Skip(8));
    } else {
      REQUIRE((tag & 7u) == 2);
      REQUIRE(in.ReadVarint64(&value));
      REQUIRE(in.Skip(static_cast<int>(value)));
    }
    const int end = in.CurrentPosition();
    chunks.push_back(
        {tag >> 3, message.substr(static_cast<size_t>(start), static_cast<size_t>(end - start))});
    start = end;
  }
  return chunks;
}

std::string Shuffled(const std::string& message, std::mt19937_64& random) {
  const std::vector<Chunk> chunks = Chunks(message);
  std::vector<uint32_t> order;
  for (const Chunk& chunk : chunks) order.push_back(chunk.field);
  std::shuffle(order.begin(), order.end(), random);
  std::string bytes;
  std::vector<bool> used(chunks.size(), false);
  for (const uint32_t field : order) {
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (used[i] || chunks[i].field != field) continue;
      used[i] = true;
      bytes += chunks[i].bytes;
      break;
    }
  }
  return bytes;
}

// Shuffles the frame's fields, and those of its entries and keys.
std::string DeeplyShuffled(const std::string& frame, std::mt19937_64& random) {
  std::string bytes;
  for (const Chunk& chunk : Chunks(frame)) {
    if (chunk.field != 8 && chunk.field != 9) {
      bytes += chunk.bytes;
      continue;
    }
    size_t header = 1;
    while (static_cast<uint8_t>(chunk.bytes[header]) >= 0x80) ++header;
    bytes += Delimited(chunk.field, Shuffled(chunk.bytes.substr(header + 1), random));
  }
  return Shuffled(bytes, random);
}

TEMPLATE_TEST_CASE("the decoder reads what protobuf writes, with the fields in any order",
                   "[frame][protobuf]", RequestFrame, ReplyFrame) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const TestType frame = testing::RandomFrame<TestType>(random);
    const std::string bytes = DeeplyShuffled(Serialized(ToProto(frame)), random);
    REQUIRE(OracleJson<TestType>(bytes) == FrameJson(frame));
    REQUIRE(Json<TestType>(bytes) == FrameJson(frame));
  }
}

TEMPLATE_TEST_CASE("the last of a repeated scalar or string counts", "[frame][protobuf]",
                   RequestFrame, ReplyFrame) {
  TestType first;
  first.header = {1, 2, 3, 4, 5, 6, 7};
  TestType second;
  second.header = {11, 12, 13, 14, 15, 16, 17};
  const std::string bytes = EncodeFrame(first).ToString() + EncodeFrame(second).ToString();
  CHECK(Json<TestType>(bytes) == FrameJson(second));
  CHECK(Json<TestType>(bytes) == OracleJson<TestType>(bytes));

  const std::string name = Delimited(9, Delimited(2, "first") + Delimited(2, "second"));
  CHECK_THAT(Json<TestType>(name), Catch::Contains("\"second\"") && !Catch::Contains("first"));
  CHECK(Json<TestType>(name) == OracleJson<TestType>(name));
}

TEST_CASE("an optimizer in several pieces is merged", "[frame][protobuf]") {
  RequestFrame first;
  first.optimizer.emplace();
  first.optimizer->name = "sgd";
  first.optimizer->parameters = {{"a", 1.0}, {"b", 2.0}};
  RequestFrame second;
  second.optimizer.emplace();
  second.optimizer->parameters = {{"b", 3.0}, {"c", 4.0}};
  const std::string bytes = EncodeFrame(first).ToString() + EncodeFrame(second).ToString();
  RequestFrame merged;
  merged.optimizer.emplace();
  merged.optimizer->name = "sgd";
  merged.optimizer->parameters = {{"a", 1.0}, {"b", 3.0}, {"c", 4.0}};
  CHECK(Json<RequestFrame>(bytes) == FrameJson(merged));
  CHECK(OracleJson<RequestFrame>(bytes) == FrameJson(merged));
}

TEST_CASE("map entries without key or value, or with them twice, are read as protobuf reads them",
          "[frame][protobuf]") {
  const std::string half("\x11\0\0\0\0\0\0\xe0\x3f", 9);
  const std::string one("\x11\0\0\0\0\0\0\xf0\x3f", 9);
  const std::string entry =
      GENERATE_COPY(as<std::string>(), std::string(), Delimited(1, "a"), half,
                    half + Delimited(1, "a"), Delimited(1, "a") + half + one + Delimited(1, "b"),
                    Delimited(1, "a") + Delimited(7, "x") + half);
  const std::string bytes = Delimited(10, Delimited(2, entry));
  CHECK(Json<RequestFrame>(bytes) == OracleJson<RequestFrame>(bytes));
  CHECK_THAT(Json<RequestFrame>(bytes), Catch::Contains("\"parameters\": {\""));
}

TEST_CASE("repeated numbers are read packed, unpacked and mixed", "[frame][protobuf]") {
  const std::string ranks = Varint(12 << 3) + Varint(5) + Delimited(12, Varint(6) + Varint(700)) +
                            Delimited(12, "") + Varint(12 << 3) + Varint(8);
  const std::string shape = Delimited(4, Varint(3)) + Varint(4 << 3) + Varint(UINT64_MAX) +
                            Delimited(4, Varint(1u << 20) + Varint(2));
  const std::string bytes = Delimited(8, ranks) + Delimited(9, shape);
  CHECK_THAT(Json<ReplyFrame>(bytes), Catch::Contains("\"missing_ranks\": [5, 6, 700, 8]") &&
                                          Catch::Contains("\"shape\": [3, -1, 1048576, 2]"));
  CHECK(Json<ReplyFrame>(bytes) == OracleJson<ReplyFrame>(bytes));
}

TEST_CASE("numbers wider than their field lose their high bits as in protobuf",
          "[frame][protobuf]") {
  const std::string wide = Varint((uint64_t{1} << 40) + 9);
  const std::string bytes = Varint(5 << 3) + wide +                     // rank
                            Delimited(8, Varint(1 << 3) + wide +        // op
                                             Varint(3 << 3) + wide +    // part
                                             Varint(12 << 3) + wide) +  // missing_ranks
                            Delimited(9, Varint(6 << 3) + Varint(uint64_t{1} << 40));  // bool
  CHECK_THAT(Json<ReplyFrame>(bytes), Catch::Contains("\"rank\": 9") &&
                                          Catch::Contains("\"op\": 9") && Catch::Contains("[9]") &&
                                          Catch::Contains("\"shape_unknown\": true"));
  CHECK(Json<ReplyFrame>(bytes) == OracleJson<ReplyFrame>(bytes));
}

TEST_CASE("a dtype or a status code that nobody knows passes for none that we know", "[frame]") {
  const std::string bytes =
      Delimited(8, Varint(9 << 3) + Varint(17)) + Delimited(9, Varint(3 << 3) + Varint(256 + 1));
  absl::StatusOr<ReplyFrame> frame = DecodeFrame<ReplyFrame>(Payload::CopyOf(bytes));
  REQUIRE(frame.ok());
  CHECK(frame->entries[0].code == absl::StatusCode::kUnknown);
  CHECK(DTypeBytes(frame->keys[0].dtype) == 0);
}

TEST_CASE("unknown fields are skipped at every level", "[frame][protobuf]") {
  const std::string unknown = Varint(99 << 3 | 0) + Varint(UINT64_MAX) + Varint(99 << 3 | 1) +
                              "01234567" + Delimited(99, "unknown") + Varint(99 << 3 | 5) + "0123" +
                              Varint(((uint64_t{1} << 29) - 1) << 3) + Varint(1);
  const std::string bytes =
      unknown + Delimited(8, unknown + Varint(3 << 3) + Varint(4) + unknown) + unknown +
      Delimited(9, unknown + Delimited(2, "w") + unknown) +
      Delimited(10, Delimited(1, "sgd") + unknown + Delimited(2, unknown + Delimited(1, "lr"))) +
      unknown;
  RequestFrame expected;
  expected.header.protocol = 0;
  expected.entries.emplace_back().part = 4;
  expected.keys.emplace_back().name = "w";
  expected.optimizer.emplace();
  expected.optimizer->name = "sgd";
  expected.optimizer->parameters["lr"] = 0.0;
  CHECK(Json<RequestFrame>(bytes) == FrameJson(expected));
  CHECK(OracleJson<RequestFrame>(bytes) == FrameJson(expected));
}

TEST_CASE("the payload may end with the gap that another entry would begin after", "[frame]") {
  const auto frame = [](size_t payload_bytes) {
    return Delimited(8, Varint(6 << 3) + Varint(70)) + Delimited(8, "") +
           Delimited(15, std::string(payload_bytes, 'p'));
  };
  for (const size_t size : {70, 71, 128}) {
    CAPTURE(size);
    CHECK_THAT(Json<RequestFrame>(frame(size)), Catch::Contains("\"bytes\": 70"));
  }
  for (const size_t size : {0, 69, 129, 192}) {
    CAPTURE(size);
    CHECK_THAT(Json<RequestFrame>(frame(size)), Catch::StartsWith("INVALID_ARGUMENT"));
  }
}

}  // namespace
}  // namespace kvstore
