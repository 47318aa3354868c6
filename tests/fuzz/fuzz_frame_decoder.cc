// libFuzzer target: any bytes as a frame.
//
// What must hold: nothing crashes or reads outside; the cut into slices makes no difference; what
// our decoder accepts protobuf accepts too, and reads the same; what was decoded survives encoding
// and decoding.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/base/check.h"
#include "common/wire/frame.h"
#include "tests/common/wire/frame_oracle.h"
#include "tests/common/wire/sample_frames.h"

using kvstore::DecodeFrame;
using kvstore::Payload;
using kvstore::testing::FrameJson;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  // The input chooses the cut, so that it stays a plain frame.
  const size_t cut = 1 + (size == 0 ? 0 : data[size / 2] % 40u);
  const auto frame = DecodeFrame(Payload::CopyOf(bytes));
  const auto from_slices = DecodeFrame(kvstore::testing::CutEvery(bytes, cut));
  KVS_CHECK(frame.status() == from_slices.status());
  if (!frame.ok()) {
    KVS_CHECK(frame.status().code() == absl::StatusCode::kInvalidArgument ||
              frame.status().code() == absl::StatusCode::kResourceExhausted);
    return 0;
  }
  const std::string json = FrameJson(*frame);
  KVS_CHECK(json == FrameJson(*from_slices));

  const auto oracle = kvstore::testing::OracleDecode(bytes);
  KVS_CHECK(oracle.ok());
  KVS_CHECK(json == FrameJson(*oracle));

  // Messages over the limit are cut by the encoder.
  for (const kvstore::PartEntry& part : frame->parts) {
    if (part.message.size() > kvstore::kErrorTextBytesMax) return 0;
  }
  const auto again = DecodeFrame(kvstore::EncodeFrame(*frame));
  KVS_CHECK(again.ok());
  KVS_CHECK(json == FrameJson(*again));
  return 0;
}
