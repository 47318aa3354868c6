// What code that works on several GPUs at once shares: which GPUs a list has, and memory of them
// for a while.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/device/device_library.h"
#include "client/reduce/device_blocks.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Those that have values, each once, ascending.
std::vector<int> GpusOf(absl::Span<const NDArray> values);

// Blocks of GPUs' memory that are given back together. Thread-compatible.
class Taken {
 public:
  Taken(DeviceBlocks* blocks, const DeviceLibrary& library) : blocks_(blocks), library_(library) {}
  ~Taken() {
    for (auto& [gpu, block] : taken_) blocks_->Give(gpu, std::move(block));
  }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

  // Of that GPU's. Errors: those of DeviceLibrary::Allocate.
  absl::StatusOr<void*> Take(int gpu, size_t bytes = DeviceBlocks::kBlockBytes);

 private:
  DeviceBlocks* const blocks_;
  const DeviceLibrary& library_;
  std::vector<std::pair<int, std::shared_ptr<void>>> taken_;
  std::vector<std::shared_ptr<void>> own_;  // what is more than a block
};

}  // namespace kvstore
