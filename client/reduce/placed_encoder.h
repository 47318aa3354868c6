// PlacedEncoder: what one sender keeps to encode the contributions to one dense key, wherever their
// arrays are: a ValueEncoder for those in host memory, and a DeviceEncoder for those that GPUs have
// and can encode. One of the two has what is left over.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/reduce/block_threads.h"
#include "client/reduce/device_encoder.h"
#include "common/cluster/identity.h"
#include "common/codec/codec.h"
#include "common/codec/value_encoder.h"
#include "common/tensor/buffer.h"
#include "common/tensor/dtype.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Threading: thread-compatible.
class PlacedEncoder {
 public:
  // The first five as a ValueEncoder has them. `spares`: of the GPUs that encode, which outlives
  // it; null: the host encodes all.
  PlacedEncoder(CodecPtr codec, KeyId key, uint32_t sender, DType dtype, uint64_t bytes,
                DeviceSpares* spares);

  using Parts = std::vector<MutableBufferPtr>;
  // DeviceEncoder::Encode, if the values and the codec are for it. Nothing: it is for on_host(), to
  // which what is left over has been brought. Errors: the GPUs'; what is left over is as it was.
  // May throw std::bad_alloc.
  absl::StatusOr<std::optional<Parts>> EncodeOnDevices(absl::Span<const NDArray> values,
                                                       BlockThreads& threads);
  // What GPUs have encoded last is going to be used: what is left over moves on.
  void Accept() noexcept;

  ValueEncoder& on_host() { return on_host_; }

 private:
  ValueEncoder on_host_;
  const DType dtype_;
  const uint64_t bytes_;
  DeviceSpares* const spares_;
  std::unique_ptr<DeviceEncoder> on_gpus_;  // null before a GPU had a value
};

}  // namespace kvstore
