// DeviceBlocks: memory of GPUs in blocks of one size, used again.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "client/device/device_library.h"
#include "common/base/mutex.h"

namespace kvstore {

// Thread-safe.
class DeviceBlocks {
 public:
  // Of the sum of a part in the widest accumulator.
  static constexpr size_t kBlockBytes = size_t{2} << 20;

  // At most kBlockBytes are taken out of the block that is returned; more is memory of its own.
  // Errors: those of DeviceLibrary::Allocate.
  absl::StatusOr<std::shared_ptr<void>> Take(const DeviceLibrary& library, int gpu, size_t bytes)
      KVS_EXCLUDES(mutex_);
  void Give(int gpu, std::shared_ptr<void> block) KVS_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::map<int, std::vector<std::shared_ptr<void>>> free_ KVS_GUARDED_BY(mutex_);  // by GPU
};

}  // namespace kvstore
