#include "tests/support/cuda_sim/memory.h"

#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/support/cuda_sim/faults.h"
#include "tests/support/cuda_sim/streams.h"

namespace cuda_sim {
namespace {

constexpr std::align_val_t kAlignment{256};  // of NVIDIA's cudaMalloc
constexpr int kUninitialised = 0xa5;         // what is read before it is written is seen

// What is allocated. Thread-safe.
class Pinned {
 public:
  static Pinned& All() {
    static Pinned& pinned = *new Pinned;
    return pinned;
  }

  void Add(const void* memory, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    live_[reinterpret_cast<uintptr_t>(memory)] = bytes;
  }
  bool Remove(const void* memory) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return live_.erase(reinterpret_cast<uintptr_t>(memory)) > 0;
  }
  bool Has(const void* address, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto at = reinterpret_cast<uintptr_t>(address);
    auto after = live_.upper_bound(at);
    if (after == live_.begin()) return false;
    --after;
    return at + bytes <= after->first + after->second;
  }
  size_t live() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return live_.size();
  }

 private:
  std::mutex mutex_;
  std::map<uintptr_t, size_t> live_;
};

}  // namespace

size_t NumberOf(const char* variable, size_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoul(text, nullptr, 10);
}

Memory& Memory::All() {
  static Memory& memory = *new Memory;
  return memory;
}

size_t Memory::BytesMax() {
  static const size_t kMax = NumberOf("KVS_TEST_CUDA_MEMORY_MIB", 1024) << 20;
  return kMax;
}

void* Memory::Take(int device, size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (used_[device] + bytes > BytesMax()) return nullptr;
  // Not rounded up: AddressSanitizer sees the end of the array.
  void* const memory = ::operator new(bytes, kAlignment, std::nothrow);
  if (memory == nullptr) return nullptr;
  std::memset(memory, kUninitialised, bytes);
  used_[device] += bytes;
  live_[reinterpret_cast<uintptr_t>(memory)] = {bytes, device};
  return memory;
}

bool Memory::Give(void* memory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = live_.find(reinterpret_cast<uintptr_t>(memory));
  if (found == live_.end()) return false;
  used_[found->second.device] -= found->second.bytes;
  live_.erase(found);
  ::operator delete(memory, kAlignment);
  return true;
}

int Memory::DeviceOf(const void* address, size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto after = live_.upper_bound(at);
  const bool overlaps_next = after != live_.end() && at + bytes > after->first;
  if (after == live_.begin()) return overlaps_next ? -1 : -2;
  const auto& [begin, allocation] = *--after;
  if (at + bytes <= begin + allocation.bytes) return allocation.device;
  return overlaps_next || at < begin + allocation.bytes ? -1 : -2;
}

size_t Memory::live() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return live_.size();
}

bool IsPinned(const void* address, size_t bytes) { return Pinned::All().Has(address, bytes); }

int DeviceOf(const void* address, size_t bytes) { return Memory::All().DeviceOf(address, bytes); }

size_t LiveAllocations() { return Memory::All().live(); }

size_t LivePinned() { return Pinned::All().live(); }

}  // namespace cuda_sim

using namespace cuda_sim;  // NOLINT: NVIDIA's names are global

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  Streams::All().AtCall();
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  if (FailsNow(Call::kAllocation)) return Failed(cudaErrorMemoryAllocation, "out of memory");
  int device = 0;
  cudaGetDevice(&device);
  *memory = bytes == 0 ? nullptr : Memory::All().Take(device, bytes);
  if (*memory != nullptr || bytes == 0) return cudaSuccess;
  return Failed(cudaErrorMemoryAllocation, "out of memory");
}

cudaError_t cudaFree(void* memory) {
  Streams::All().AtCall();
  if (memory == nullptr || Memory::All().Give(memory)) return Sticky();
  return Failed(cudaErrorInvalidValue, "cudaFree of what is no array of a device");
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned /*flags*/) {
  Streams::All().AtCall();
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  const bool fails = FailsNow(Call::kAllocation);
  *memory = fails ? nullptr : ::operator new(bytes, kAlignment, std::nothrow);
  if (*memory == nullptr) return Failed(cudaErrorMemoryAllocation, "out of memory");
  std::memset(*memory, kUninitialised, bytes);
  Pinned::All().Add(*memory, bytes);
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  Streams::All().AtCall();
  if (memory == nullptr) return cudaSuccess;
  if (!Pinned::All().Remove(memory)) {
    return Failed(cudaErrorInvalidValue, "cudaFreeHost of what is no pinned memory");
  }
  ::operator delete(memory, kAlignment);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  const int device = Memory::All().DeviceOf(address, 1);
  attributes->type = device >= 0            ? cudaMemoryTypeDevice
                     : IsPinned(address, 1) ? cudaMemoryTypeHost
                                            : cudaMemoryTypeUnregistered;
  attributes->device = device >= 0 ? device : -1;
  return Sticky();
}
