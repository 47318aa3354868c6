#include "client/reduce/taken_blocks.h"

#include <algorithm>

#include "common/base/status_macros.h"

namespace kvstore {

std::vector<int> GpusOf(absl::Span<const NDArray> values) {
  std::vector<int> gpus;
  for (const NDArray& value : values) {
    if (OnDevice(value.context())) gpus.push_back(value.context().index);
  }
  std::sort(gpus.begin(), gpus.end());
  gpus.erase(std::unique(gpus.begin(), gpus.end()), gpus.end());
  return gpus;
}

absl::StatusOr<void*> Taken::Take(int gpu, size_t bytes) {
  const bool own = bytes > DeviceBlocks::kBlockBytes;
  own ? own_.reserve(own_.size() + 1) : taken_.reserve(taken_.size() + 1);
  KVS_ASSIGN_OR_RETURN(std::shared_ptr<void> block, blocks_->Take(library_, gpu, bytes));
  void* const memory = block.get();
  if (own) {
    own_.push_back(std::move(block));
  } else {
    taken_.emplace_back(gpu, std::move(block));
  }
  return memory;
}

}  // namespace kvstore
