// The calls of the runtime, over host memory that is said to be a device's.
#include <cuda_runtime.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "tests/support/cuda_sim/faults.h"
#include "tests/support/cuda_sim/fibers.h"

namespace cuda_sim {
namespace {

constexpr size_t kAlignment = 256;  // of NVIDIA's cudaMalloc
constexpr int kDriverVersion = 13000;
constexpr int kMultiprocessors = 2;
constexpr char kCopyFailed[] = "a copy that was to fail";

size_t NumberOf(const char* variable, size_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoul(text, nullptr, 10);
}

struct Allocation {
  size_t bytes = 0;
  int device = 0;
};

// All devices have one space of addresses, as NVIDIA's have. Thread-safe.
class Memory {
 public:
  static Memory& All() {
    static Memory& memory = *new Memory;
    return memory;
  }

  // Of each device.
  static size_t BytesMax() {
    static const size_t kMax = NumberOf("KVS_TEST_CUDA_MEMORY_MIB", 1024) << 20;
    return kMax;
  }

  void* Take(int device, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (used_[device] + bytes > BytesMax()) return nullptr;
    // Not rounded up: AddressSanitizer sees the end of the array.
    void* const memory = ::operator new(bytes, std::align_val_t(kAlignment), std::nothrow);
    if (memory == nullptr) return nullptr;
    std::memset(memory, 0xa5, bytes);  // what is read before it is written is seen
    used_[device] += bytes;
    live_[reinterpret_cast<uintptr_t>(memory)] = {bytes, device};
    return memory;
  }
  bool Give(void* memory) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = live_.find(reinterpret_cast<uintptr_t>(memory));
    if (found == live_.end()) return false;
    used_[found->second.device] -= found->second.bytes;
    live_.erase(found);
    ::operator delete(memory, std::align_val_t(kAlignment));
    return true;
  }
  // Of which device the bytes are; -1: they are not all in one live allocation; -2: of the host,
  // as far as the devices know.
  int DeviceOf(const void* address, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto at = reinterpret_cast<uintptr_t>(address);
    auto after = live_.upper_bound(at);
    const bool overlaps_next = after != live_.end() && at + bytes > after->first;
    if (after == live_.begin()) return overlaps_next ? -1 : -2;
    const auto& [begin, allocation] = *--after;
    if (at + bytes <= begin + allocation.bytes) return allocation.device;
    return overlaps_next || at < begin + allocation.bytes ? -1 : -2;
  }
  size_t live() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return live_.size();
  }

 private:
  std::mutex mutex_;
  std::map<uintptr_t, Allocation> live_;
  std::map<int, size_t> used_;
};

std::mutex sticky_mutex;
cudaError_t sticky = cudaSuccess;  // of a kernel that failed: every later call gives it
thread_local cudaError_t last = cudaSuccess;
thread_local std::string last_text;
thread_local int current_device = 0;

cudaError_t Failed(cudaError_t error, const std::string& text) {
  last = error;
  last_text = text;
  return error;
}

cudaError_t Sticky() {
  const std::lock_guard<std::mutex> lock(sticky_mutex);
  return sticky;
}

size_t DeviceCount() { return NumberOf("KVS_TEST_CUDA_DEVICES", 2); }

// Whether the bytes are on the side that `of_device` says.
cudaError_t CheckSide(const void* address, size_t bytes, bool of_device, const char* role) {
  if (bytes == 0) return cudaSuccess;
  const int device = Memory::All().DeviceOf(address, bytes);
  if (device == -1) {
    return Failed(cudaErrorInvalidValue,
                  std::string("a copy: its ") + role + " goes beyond the end of an array");
  }
  if ((device >= 0) == of_device) return cudaSuccess;
  return Failed(cudaErrorInvalidValue,
                std::string("a copy: its ") + role +
                    (of_device ? " is host memory, a device's expected"
                               : " is a device's memory, the host's expected"));
}

}  // namespace

const char* LastErrorText() { return last_text.c_str(); }

void ForgetErrors() {
  const std::lock_guard<std::mutex> lock(sticky_mutex);
  sticky = cudaSuccess;
  last = cudaSuccess;
  last_text.clear();
}

int DeviceOf(const void* address, size_t bytes) { return Memory::All().DeviceOf(address, bytes); }

size_t LiveAllocations() { return Memory::All().live(); }

void CheckAddress(const void* address, size_t bytes, const char* what) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  if (at % bytes != 0) {
    throw KernelError(cudaErrorIllegalAddress,
                      std::string("a ") + what + " of " + std::to_string(bytes) +
                          " bytes at an address that is no multiple of them");
  }
  if (Memory::All().DeviceOf(address, bytes) >= 0) return;
  throw KernelError(cudaErrorIllegalAddress, std::string("a ") + what + " of " +
                                                 std::to_string(bytes) +
                                                 " bytes that are not in an array of a device");
}

cudaError_t Run(dim3 grid, dim3 block, const std::function<void()>& thread) {
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  const size_t threads = size_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || size_t{grid.x} * grid.y * grid.z == 0) {
    return Failed(cudaErrorInvalidValue,
                  "a launch: 1 to 1024 threads of 1 or more blocks expected");
  }
  if (FailsNow(Call::kLaunch)) {
    const std::lock_guard<std::mutex> lock(sticky_mutex);
    sticky = cudaErrorLaunchFailure;
    return Failed(sticky, "a launch that was to fail");
  }
  try {
    for (unsigned z = 0; z < grid.z; ++z) {
      for (unsigned y = 0; y < grid.y; ++y) {
        for (unsigned x = 0; x < grid.x; ++x) RunBlock(grid, block, {x, y, z}, thread);
      }
    }
    return cudaSuccess;
  } catch (const KernelError& error) {
    const std::lock_guard<std::mutex> lock(sticky_mutex);
    sticky = error.error;
    return Failed(error.error, error.what());
  }
}

}  // namespace cuda_sim

using namespace cuda_sim;  // NOLINT: NVIDIA's names are global

cudaError_t cudaDriverGetVersion(int* version) {
  *version = kDriverVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (DeviceCount() == 0) return Failed(cudaErrorNoDevice, "no device");
  *count = static_cast<int>(DeviceCount());
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || static_cast<size_t>(device) >= DeviceCount()) {
    return Failed(cudaErrorInvalidDevice, "no such device");
  }
  current_device = device;
  return Sticky();
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = kMultiprocessors;
  return Sticky();
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = cudaDeviceProp{};
  std::strcpy(properties->name, "simulated");
  properties->totalGlobalMem = Memory::BytesMax();
  properties->major = 9;
  return Sticky();
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  if (FailsNow(Call::kAllocation)) return Failed(cudaErrorMemoryAllocation, "out of memory");
  *memory = bytes == 0 ? nullptr : Memory::All().Take(current_device, bytes);
  if (*memory != nullptr || bytes == 0) return cudaSuccess;
  return Failed(cudaErrorMemoryAllocation, "out of memory");
}

cudaError_t cudaFree(void* memory) {
  if (memory == nullptr || Memory::All().Give(memory)) return Sticky();
  return Failed(cudaErrorInvalidValue, "cudaFree of what is no array of a device");
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault) {
    for (const cudaError_t side : {CheckSide(to, bytes, to_device, "target"),
                                   CheckSide(from, bytes, from_device, "source")}) {
      if (side != cudaSuccess) return side;
    }
  }
  if (FailsNow(Call::kCopy)) return Failed(cudaErrorECCUncorrectable, kCopyFailed);
  if (bytes > 0) std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device,
                                size_t bytes, cudaStream_t) {
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  for (const auto& [at, device] :
       {std::pair<const void*, int>{to, to_device}, {from, from_device}}) {
    if (bytes > 0 && Memory::All().DeviceOf(at, bytes) != device) {
      return Failed(cudaErrorInvalidValue,
                    "a copy between devices: an array of the other expected");
    }
  }
  if (PeersRefused()) {
    return Failed(cudaErrorPeerAccessUnsupported, "these devices do not reach each other");
  }
  if (FailsNow(Call::kCopy)) return Failed(cudaErrorECCUncorrectable, kCopyFailed);
  if (bytes > 0) std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t) {
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  if (const cudaError_t side = CheckSide(to, bytes, true, "target"); side != cudaSuccess)
    return side;
  if (FailsNow(Call::kCopy)) return Failed(cudaErrorECCUncorrectable, kCopyFailed);
  if (bytes > 0) std::memset(to, byte, bytes);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  const int device = Memory::All().DeviceOf(address, 1);
  attributes->type = device >= 0 ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  attributes->device = device >= 0 ? device : -1;
  return Sticky();
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = nullptr;  // what it is told is done at once
  return Sticky();
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return Sticky(); }

cudaError_t cudaGetLastError() {
  const cudaError_t error = last;
  last = cudaSuccess;
  return error != cudaSuccess ? error : Sticky();
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorInvalidValue:
      return last_text.empty() ? "an earlier kernel failed" : last_text.c_str();
    case cudaErrorECCUncorrectable:
      return kCopyFailed;
    case cudaErrorPeerAccessUnsupported:
      return "peer access is not supported between these two devices";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
  }
  return "unknown error";
}
