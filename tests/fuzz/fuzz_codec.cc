// libFuzzer target: any bytes as what a peer sends of a compressed part.
//
// The first byte chooses the codec, the second one the dtype, the two after them the number of
// elements; the rest are the encoded bytes, as they are and cut to the length that they should
// have. What must hold: nothing crashes, a refusal is INVALID_ARGUMENT in printable ASCII, and what
// passes the check is decoded within its bounds.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/codec/codec.h"

namespace kvstore {
namespace {

void CheckAndDecode(const Codec& codec, DType dtype, size_t elements, const std::string& bytes) {
  const Payload encoded = Payload::CopyOf(bytes);
  const absl::Status fits = codec.Check(dtype, elements, encoded);
  if (!fits.ok()) {
    KVS_CHECK(fits.code() == absl::StatusCode::kInvalidArgument && !fits.message().empty());
    for (const char c : fits.message()) KVS_CHECK(c >= 0x20 && c < 0x7f);
    return;
  }
  // Not a byte more than there may be, so that the sanitizer sees one that is.
  std::vector<double> values(elements);
  std::vector<float> floats(elements);
  void* const to = dtype == DType::kFloat64 ? static_cast<void*>(values.data()) : floats.data();
  const Payload whole = InOneSlice(encoded);
  codec.Decode(dtype, whole.slices()[0].data, elements, /*add=*/false, to);
  codec.Decode(dtype, whole.slices()[0].data, elements, /*add=*/true, to);
}

}  // namespace
}  // namespace kvstore

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvstore;
  if (size < 4) return 0;
  static const std::vector<std::string> types = CodecTypes();
  constexpr DType kFloats[] = {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16};
  CompressionConfig config{types[data[0] % types.size()]};
  if (config.type == "topk" || config.type == "randomk") config.parameters["ratio"] = 0.25;
  const CodecPtr codec = *MakeCodec(config);
  const DType dtype = kFloats[data[1] % 4];
  const size_t elements = size_t{1} + data[2] + (size_t{data[3]} % 8 << 8);
  std::string bytes(reinterpret_cast<const char*>(data + 4), size - 4);
  CheckAndDecode(*codec, dtype, elements, bytes);
  bytes.resize(codec->EncodedBytes(dtype, elements));
  CheckAndDecode(*codec, dtype, elements, bytes);
  return 0;
}
