// DeviceEncoder: what a ValueEncoder (common/codec/value_encoder.h) is in host memory, for values
// that GPUs have: the sum of a list, or one value, is encoded on a GPU, so that only its codes
// cross to the host (of 2bit a sixteenth of the bytes); what is left over stays in the GPU's
// memory, part by part. The bits are those of the ValueEncoder.
//
// What was left over stays as it was until a push is accepted: what is left over then is written to
// other memory, which takes its place. So a push of which anything fails has moved nothing, and the
// memory costs as much again as the largest value of the store (DeviceSpares).
//
// The GPUs that have values take turns, part by part. What is left over follows them: it is copied
// where another GPU is to encode, from the host where the last push was encoded there, and to the
// host (ToHost) before one is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/device/device_library.h"
#include "client/reduce/block_threads.h"
#include "client/reduce/device_reducer.h"
#include "common/base/mutex.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/cpu/code_steps.h"
#include "common/tensor/buffer.h"
#include "common/tensor/dtype.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Memory of GPUs that the encoders of a store use in turn. Thread-safe.
class DeviceSpares {
 public:
  // Errors: those of DeviceLibrary::Allocate.
  absl::StatusOr<std::shared_ptr<void>> Take(const DeviceLibrary& library, int gpu, size_t bytes)
      KVS_EXCLUDES(mutex_);
  // If there is no memory to note it, it is released.
  void Give(int gpu, size_t bytes, std::shared_ptr<void> spare) noexcept KVS_EXCLUDES(mutex_);

  DeviceBlocks& blocks() { return blocks_; }

 private:
  Mutex mutex_;
  std::map<std::pair<int, size_t>, std::vector<std::shared_ptr<void>>> spares_
      KVS_GUARDED_BY(mutex_);  // by GPU and size
  DeviceBlocks blocks_;        // for as long as a part is encoded
};

// Threading: thread-compatible.
class DeviceEncoder {
 public:
  // Of a dense value of `bytes` of that dtype. `spares` outlives it.
  DeviceEncoder(const BitCode& code, DType dtype, uint64_t bytes, DeviceSpares* spares);

  // Whether it is the one to encode a list: arrays of default storage, of which a GPU has some.
  static bool Takes(absl::Span<const NDArray> values);

  // The sum of the values, rounded to their dtype, encoded, part by part, in host memory.
  // `on_host`: what is left over, where the host has it, else null; it is read, no more. The parts
  // are shared by `threads`. Errors: the GPUs'; all is as it was. May throw std::bad_alloc;
  // likewise.
  absl::StatusOr<std::vector<MutableBufferPtr>> Encode(absl::Span<const NDArray> values,
                                                       const Buffer* on_host,
                                                       BlockThreads& threads);
  // What the last Encode has left over takes the place of what was; the host's is out of date.
  void Accept() noexcept;

  // Whether GPUs have what is left over.
  bool holds() const { return !parts_.empty(); }
  // What is left over, which the GPUs have, as the ValueEncoder has it. Errors: the GPUs'.
  absl::StatusOr<MutableBufferPtr> ToHost() const;
  // The host has it now, or nobody.
  void Forget() noexcept;

 private:
  // Of what is left over of a part.
  struct Part {
    int gpu = 0;
    std::shared_ptr<void> at;
  };

  size_t ElementsOf(PartIndex part) const { return PartBytes(bytes_, part) / DTypeBytes(dtype_); }
  size_t LeftOverBytes(PartIndex part) const {
    return ElementsOf(part) * DTypeBytes(AccumulatorOf(dtype_));
  }
  uint64_t LeftOverOffset(PartIndex part) const {
    return PartOffset(part) / DTypeBytes(dtype_) * DTypeBytes(AccumulatorOf(dtype_));
  }
  absl::Status EncodePart(PartIndex part, absl::Span<const NDArray> values, int gpu,
                          const Buffer* on_host, Buffer* encoded);
  void GiveBack(std::vector<Part>* parts) noexcept;

  const BitCode code_;
  const DType dtype_;
  const uint64_t bytes_;
  DeviceSpares* const spares_;
  std::vector<Part> parts_;  // what is left over; empty: the host has it, or there is nothing
  std::vector<Part> next_;   // what is left over by a push that is not accepted yet
};

}  // namespace kvstore
