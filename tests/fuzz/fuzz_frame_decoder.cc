// libFuzzer target: any bytes as a frame of either kind.
//
// What must hold: nothing crashes or reads outside; the cut into slices makes no difference; what
// our decoder accepts protobuf accepts too, and reads the same; what was decoded survives encoding
// and decoding.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/base/check.h"
#include "common/wire/frame.h"
#include "tests/common/wire/frame_oracle.h"
#include "tests/common/wire/sample_frames.h"

namespace kvstore {
namespace {

// Messages over the limit are cut by the encoder.
bool IsCutByEncoder(const RequestFrame&) { return false; }
bool IsCutByEncoder(const ReplyFrame& frame) {
  return std::any_of(frame.entries.begin(), frame.entries.end(), [](const ReplyEntry& entry) {
    return entry.message.size() > kErrorTextBytesMax;
  });
}

template <typename Frame>
void Check(const std::string& bytes, size_t cut) {
  const auto frame = DecodeFrame<Frame>(Payload::CopyOf(bytes));
  const auto from_slices = DecodeFrame<Frame>(testing::CutEvery(bytes, cut));
  KVS_CHECK(frame.status() == from_slices.status());
  if (!frame.ok()) {
    KVS_CHECK(frame.status().code() == absl::StatusCode::kInvalidArgument ||
              frame.status().code() == absl::StatusCode::kResourceExhausted);
    return;
  }
  const std::string json = testing::FrameJson(*frame);
  KVS_CHECK(json == testing::FrameJson(*from_slices));

  const auto oracle = testing::OracleDecode<Frame>(bytes);
  KVS_CHECK(oracle.ok());
  KVS_CHECK(json == testing::FrameJson(*oracle));

  if (IsCutByEncoder(*frame)) return;
  const auto again = DecodeFrame<Frame>(EncodeFrame(*frame));
  KVS_CHECK(again.ok());
  KVS_CHECK(json == testing::FrameJson(*again));
}

}  // namespace
}  // namespace kvstore

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  // The input chooses the cut, so that it stays a plain frame.
  const size_t cut = 1 + (size == 0 ? 0 : data[size / 2] % 40u);
  kvstore::Check<kvstore::RequestFrame>(bytes, cut);
  kvstore::Check<kvstore::ReplyFrame>(bytes, cut);
  return 0;
}
