// The calls of the plugin that encode sums (client/device/plugin_abi.h).
#include <cuda_runtime.h>

#include "client/cuda/plugin_calls.h"
#include "client/device/plugin_abi.h"
#include "common/kernels/cuda/codecs.cuh"

namespace kvstore::cuda {
namespace {

constexpr char kEncoding[] = "an encoding";

int Encode(int device, uint32_t dtype, const void* const* sources, size_t count, size_t elements,
           const kvstore_device_encoding* as, char* text, size_t text_bytes) {
  const Text said{text, text_bytes};
  for (size_t k = 0; k < count; ++k) {
    if (const int wrong = CheckHere(device, sources[k], kEncoding, "a source", said)) return wrong;
  }
  const void* const before = as->before != nullptr ? as->before : as->left_over;  // may be nothing
  if (const int wrong = CheckHere(device, before, kEncoding, "what was left over", said)) {
    return wrong;
  }
  if (const int wrong = CheckHere(device, as->left_over, kEncoding, "what is left over", said)) {
    return wrong;
  }
  if (const int wrong = CheckHere(device, as->encoded, kEncoding, "the target", said)) {
    return wrong;
  }
  const EncodedAs to{{as->bits, as->threshold}, as->before, as->left_over, as->encoded};
  return Do(device, kEncoding, said, [&](const Place& place) {
    return EncodeSumOf(static_cast<DType>(dtype), sources, count, elements, to, place);
  });
}

}  // namespace

void AddCodeCalls(kvstore_device_plugin* plugin) {
  plugin->encode = &Encode;
  plugin->encoded_max = static_cast<size_t>(kSourcesMax);
}

}  // namespace kvstore::cuda
