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

absl::StatusOr<void*> Taken::Take(int gpu) {
  taken_.reserve(taken_.size() + 1);
  KVS_ASSIGN_OR_RETURN(std::shared_ptr<void> block,
                       blocks_->Take(library_, gpu, DeviceBlocks::kBlockBytes));
  taken_.emplace_back(gpu, std::move(block));
  return taken_.back().second.get();
}

}  // namespace kvstore
