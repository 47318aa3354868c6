// Pinned memory, which is the host's like any other here.
#include <cuda_runtime.h>

#include <cstring>
#include <mutex>
#include <new>
#include <set>

#include "tests/support/cuda_sim/faults.h"

namespace {

constexpr std::align_val_t kAlignment{256};

// What is allocated. Thread-safe.
class Pinned {
 public:
  static Pinned& All() {
    static Pinned& pinned = *new Pinned;
    return pinned;
  }

  void Add(void* memory) {
    const std::lock_guard<std::mutex> lock(mutex_);
    live_.insert(memory);
  }
  bool Remove(void* memory) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return live_.erase(memory) > 0;
  }

 private:
  std::mutex mutex_;
  std::set<void*> live_;
};

}  // namespace

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned /*flags*/) {
  if (const cudaError_t error = cudaDeviceSynchronize(); error != cudaSuccess) return error;
  const bool fails = cuda_sim::FailsNow(cuda_sim::Call::kAllocation);
  *memory = fails ? nullptr : ::operator new(bytes, kAlignment, std::nothrow);
  if (*memory == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*memory, 0xa5, bytes);  // what is read before it is written is seen
  Pinned::All().Add(*memory);
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  if (!Pinned::All().Remove(memory)) return cudaErrorInvalidValue;
  ::operator delete(memory, kAlignment);
  return cudaSuccess;
}

// Nothing is under way: a stream does at once what it is told.
cudaError_t cudaDeviceSynchronize() { return cudaStreamSynchronize(nullptr); }
