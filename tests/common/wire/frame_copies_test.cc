// That frames move payload bytes without copying them: where the slices point to, and how many
// bytes are allocated on the way.
#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "common/wire/frame.h"
#include "tests/common/wire/counted_new.h"
#include "tests/common/wire/sample_frames.h"

namespace kvstore {
namespace {

using testing::AllocatedBytes;
using testing::Allocations;
using testing::CutEvery;
using testing::PatternBytes;

TEST_CASE("encoding refers to the caller's bytes and copies none of them", "[frame]") {
  constexpr size_t kBytes = 1u << 20;
  const auto memory = std::make_shared<std::vector<uint8_t>>(kBytes, uint8_t{42});
  RequestFrame frame;
  for (int i = 0; i < 2; ++i) {
    RequestEntry& entry = frame.entries.emplace_back();
    entry.op = Op::kPush;
    entry.piece.data.Append(Slice{memory->data(), 1000, memory});
    entry.piece.data.Append(Slice{memory->data() + 1000, kBytes - 1000 - (i == 0 ? 1 : 0), memory});
  }
  const size_t bytes_before = AllocatedBytes();
  const size_t count_before = Allocations();
  const Payload encoded = EncodeFrame(frame);
  const size_t bytes = AllocatedBytes() - bytes_before;
  const size_t count = Allocations() - count_before;
  CHECK(bytes < 1024);
  // The header's bytes, their Buffer, the vector of slices.
  CHECK(count <= 3);

  // Header, two slices, a gap of one zero, two slices.
  REQUIRE(encoded.slices().size() == 6);
  CHECK(encoded.slices()[1].data == memory->data());
  CHECK(encoded.slices()[2].data == memory->data() + 1000);
  CHECK(encoded.slices()[3].size == 1);
  CHECK(*encoded.slices()[3].data == 0);
  CHECK(encoded.slices()[4].data == memory->data());
  CHECK(encoded.slices()[5].data == memory->data() + 1000);
  CHECK(encoded.slices()[5].owner == memory);
}

TEST_CASE("decoding refers to the frame's bytes and copies none of them", "[frame]") {
  constexpr size_t kBytes = 1u << 20;
  RequestFrame frame;
  frame.entries.emplace_back().op = Op::kPush;
  frame.entries[0].piece.data = PatternBytes(kBytes, 1);
  const size_t cut = GENERATE(size_t{4} << 20, size_t{16} << 10);
  const Payload bytes = CutEvery(EncodeFrame(frame).ToString(), cut);

  const size_t bytes_before = AllocatedBytes();
  absl::StatusOr<RequestFrame> decoded = DecodeFrame<RequestFrame>(bytes);
  const size_t allocated = AllocatedBytes() - bytes_before;
  REQUIRE(decoded.ok());
  const Payload& data = decoded->entries[0].piece.data;
  // The entries and the references to slices.
  CHECK(allocated < 2048 + 8 * sizeof(Slice) * bytes.slices().size());
  REQUIRE(data.size() == kBytes);
  REQUIRE(data.slices().size() == bytes.slices().size());
  size_t header = bytes.size() - kBytes;
  for (size_t i = 0; i < data.slices().size(); ++i) {
    REQUIRE(data.slices()[i].data == bytes.slices()[i].data + header);
    REQUIRE(data.slices()[i].owner == bytes.slices()[i].owner);
    header = 0;
  }
  CHECK(data.ToString() == frame.entries[0].piece.data.ToString());
}

}  // namespace
}  // namespace kvstore
