// The memory of the simulated GPUs, and pinned memory: host memory of which it is known whose it
// is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace cuda_sim {

// Arrays of devices: all have one space of addresses, as NVIDIA's have. Thread-safe.
class Memory {
 public:
  static Memory& All();
  // Of each device.
  static size_t BytesMax();

  // Null: there is too little.
  void* Take(int device, size_t bytes);
  bool Give(void* memory);
  // Of which device the bytes are; -1: they are not all in one live allocation; -2: of the host,
  // as far as the devices know.
  int DeviceOf(const void* address, size_t bytes);
  size_t live();

 private:
  struct Allocation {
    size_t bytes = 0;
    int device = 0;
  };

  std::mutex mutex_;
  std::map<uintptr_t, Allocation> live_;
  std::map<int, size_t> used_;
};

// Whether all bytes are pinned.
bool IsPinned(const void* address, size_t bytes);

// A number that is set in the environment.
size_t NumberOf(const char* variable, size_t otherwise);

}  // namespace cuda_sim
