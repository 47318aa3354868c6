#include "client/reduce/device_blocks.h"

#include <utility>

namespace kvstore {

absl::StatusOr<std::shared_ptr<void>> DeviceBlocks::Take(const DeviceLibrary& library, int gpu,
                                                         size_t bytes) {
  if (bytes > kBlockBytes) return library.Allocate(gpu, bytes);
  {
    MutexLock lock(mutex_);
    std::vector<std::shared_ptr<void>>& free = free_[gpu];
    if (!free.empty()) {
      std::shared_ptr<void> block = std::move(free.back());
      free.pop_back();
      return block;
    }
    free.reserve(free.capacity() + 1);  // so that Give takes no memory
  }
  return library.Allocate(gpu, kBlockBytes);
}

void DeviceBlocks::Give(int gpu, std::shared_ptr<void> block) {
  MutexLock lock(mutex_);
  free_[gpu].push_back(std::move(block));
}

}  // namespace kvstore
