// The plugin for NVIDIA's GPUs (client/device/plugin_abi.h): its memory, copies and sums. Compiled
// by nvcc with the real runtime, and by the host's compiler for the simulated GPU.
//
// Each device has a stream of its own; what is asked is put on it and waited for.
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <mutex>
#include <new>

#include "client/device/plugin_abi.h"
#include "common/kernels/cuda/sums.cuh"

namespace kvstore::cuda {
namespace {

constexpr int kDevicesMax = 64;
constexpr size_t kStagedBytes = size_t{1} << 20;  // of a copy over host memory at a time

// Where a function says what is wrong.
struct Text {
  char* text;
  size_t bytes;

  [[gnu::format(printf, 3, 4)]] int Say(int code, const char* format, ...) const {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, bytes, format, arguments);  // NOLINT(clang-analyzer-valist.*)
    va_end(arguments);
    return code;
  }
  int Failed(cudaError_t error, int device, const char* what) const {
    const int code = error == cudaErrorMemoryAllocation ? KVSTORE_DEVICE_NO_MEMORY
                     : error == cudaErrorInvalidValue   ? KVSTORE_DEVICE_INVALID
                                                        : KVSTORE_DEVICE_FAILED;
    Say(code, "%s on gpu(%d): %s", what, device, cudaGetErrorString(error));
    cudaGetLastError();  // what does not stick is forgotten
    return code;
  }
};

// Makes the device that of the calling thread, and finds its stream, which the first call makes.
class Places {
 public:
  static Places& All() {
    static Places& places = *new Places;
    return places;
  }

  cudaError_t Use(int device, Place* place) {
    if (device < 0 || device >= kDevicesMax) return cudaErrorInvalidDevice;
    if (const cudaError_t error = cudaSetDevice(device); error != cudaSuccess) return error;
    const std::lock_guard<std::mutex> lock(mutex_);
    Known& known = known_[static_cast<size_t>(device)];
    if (!known.there) {
      cudaError_t error = cudaDeviceGetAttribute(&known.place.multiprocessors,
                                                 cudaDevAttrMultiProcessorCount, device);
      if (error == cudaSuccess) {
        error = cudaStreamCreateWithFlags(&known.place.stream, cudaStreamNonBlocking);
      }
      if (error != cudaSuccess) return error;
      known.there = true;
    }
    *place = known.place;
    return cudaSuccess;
  }

 private:
  struct Known {
    Place place;
    bool there = false;
  };

  std::mutex mutex_;
  std::array<Known, kDevicesMax> known_;
};

// Does the work, which is put on the device's stream, and waits for it.
template <typename Work>
int Do(int device, const char* what, const Text& text, const Work& work) {
  Place place;
  cudaError_t error = Places::All().Use(device, &place);
  if (error == cudaSuccess) error = work(place);
  if (error == cudaSuccess) error = cudaStreamSynchronize(place.stream);
  return error == cudaSuccess ? KVSTORE_DEVICE_OK : text.Failed(error, device, what);
}

// Whether the address is in the device's memory: a kernel that reads another one ends the process's
// use of the device.
int CheckHere(int device, const void* at, const char* what, const char* role, const Text& text) {
  cudaPointerAttributes attributes;
  const cudaError_t error = cudaPointerGetAttributes(&attributes, at);
  if (error != cudaSuccess) return text.Failed(error, device, what);
  if (attributes.type == cudaMemoryTypeDevice && attributes.device == device) {
    return KVSTORE_DEVICE_OK;
  }
  if (attributes.type == cudaMemoryTypeDevice) {
    return text.Say(KVSTORE_DEVICE_INVALID,
                    "%s on gpu(%d): %s in its memory expected, it is in that of gpu(%d)", what,
                    device, role, attributes.device);
  }
  return text.Say(KVSTORE_DEVICE_INVALID,
                  "%s on gpu(%d): %s in its memory expected, it is not in a GPU's", what, device,
                  role);
}

int Count(int* devices, char* text, size_t text_bytes) {
  const Text to{text, text_bytes};
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) return to.Say(KVSTORE_DEVICE_NO_DRIVER, "there is none on this host");
  *devices = 0;
  const cudaError_t error = cudaGetDeviceCount(devices);
  if (error == cudaErrorInsufficientDriver) {
    return to.Say(KVSTORE_DEVICE_NO_DRIVER, "it is for CUDA %d.%d, the plugin for %d.%d",
                  driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                  CUDART_VERSION % 1000 / 10);
  }
  if (error != cudaSuccess || *devices == 0) {
    cudaGetLastError();
    return to.Say(KVSTORE_DEVICE_NO_GPU, "%s", cudaGetErrorString(cudaErrorNoDevice));
  }
  return KVSTORE_DEVICE_OK;
}

int Allocate(int device, size_t bytes, void** memory, char* text, size_t text_bytes) {
  return Do(device, "an array", {text, text_bytes},
            [&](const Place&) { return cudaMalloc(memory, bytes); });
}

void Release(int device, void* memory) {
  cudaSetDevice(device);
  cudaFree(memory);
  cudaGetLastError();
}

int AllocatePinned(int device, size_t bytes, void** memory, char* text, size_t text_bytes) {
  return Do(device, "pinned host memory", {text, text_bytes},
            [&](const Place&) { return cudaHostAlloc(memory, bytes, cudaHostAllocPortable); });
}

void ReleasePinned(int device, void* memory) {
  cudaSetDevice(device);
  cudaFreeHost(memory);
  cudaGetLastError();
}

int Adopt(int device, const void* memory, char* text, size_t text_bytes) {
  const Text said{text, text_bytes};
  if (const int wrong = CheckHere(device, memory, "a tensor", "an address", said)) return wrong;
  return Do(device, "a tensor", said, [](const Place&) { return cudaDeviceSynchronize(); });
}

int Fill(int device, void* to, int byte, size_t bytes, char* text, size_t text_bytes) {
  return Do(device, "a fill", {text, text_bytes},
            [&](const Place& place) { return cudaMemsetAsync(to, byte, bytes, place.stream); });
}

int CopyBetween(int to_device, void* to, int from_device, const void* from, size_t bytes,
                const Text& text);

int Copy(int to_device, void* to, int from_device, const void* from, size_t bytes, char* text,
         size_t text_bytes) {
  const bool to_host = to_device == KVSTORE_DEVICE_HOST;
  const bool from_host = from_device == KVSTORE_DEVICE_HOST;
  if (!to_host && !from_host && to_device != from_device) {
    return CopyBetween(to_device, to, from_device, from, bytes, {text, text_bytes});
  }
  const cudaMemcpyKind kind = to_host
                                  ? (from_host ? cudaMemcpyHostToHost : cudaMemcpyDeviceToHost)
                                  : (from_host ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToDevice);
  return Do(
      from_host ? std::max(to_device, 0) : from_device, "a copy", {text, text_bytes},
      [&](const Place& place) { return cudaMemcpyAsync(to, from, bytes, kind, place.stream); });
}

// Directly, or over host memory where the two devices do not reach each other.
int CopyBetween(int to_device, void* to, int from_device, const void* from, size_t bytes,
                const Text& text) {
  Place place;
  cudaError_t error = Places::All().Use(from_device, &place);
  if (error == cudaSuccess) {
    error = cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, place.stream);
  }
  if (error == cudaSuccess) error = cudaStreamSynchronize(place.stream);
  if (error == cudaSuccess) return KVSTORE_DEVICE_OK;
  if (error != cudaErrorPeerAccessUnsupported) return text.Failed(error, from_device, "a copy");
  cudaGetLastError();
  const std::unique_ptr<char[]> staged(new (std::nothrow) char[std::min(bytes, kStagedBytes)]);
  if (staged == nullptr) {
    return text.Say(KVSTORE_DEVICE_NO_MEMORY,
                    "a copy from gpu(%d) to gpu(%d): host memory for it expected, there is none",
                    from_device, to_device);
  }
  for (size_t done = 0; done < bytes;) {
    const size_t some = std::min(bytes - done, kStagedBytes);
    int code = Copy(KVSTORE_DEVICE_HOST, staged.get(), from_device,
                    static_cast<const char*>(from) + done, some, text.text, text.bytes);
    if (code != KVSTORE_DEVICE_OK) return code;
    code = Copy(to_device, static_cast<char*>(to) + done, KVSTORE_DEVICE_HOST, staged.get(), some,
                text.text, text.bytes);
    if (code != KVSTORE_DEVICE_OK) return code;
    done += some;
  }
  return KVSTORE_DEVICE_OK;
}

int FoldArrays(int device, uint32_t dtype, const void* const* sources, size_t count,
               size_t elements, int rounded, void* to, char* text, size_t text_bytes) {
  const Text said{text, text_bytes};
  for (size_t k = 0; k < count; ++k) {
    if (const int wrong = CheckHere(device, sources[k], "a sum", "a source", said)) return wrong;
  }
  if (const int wrong = CheckHere(device, to, "a sum", "the target", said)) return wrong;
  return Do(device, "a sum", said, [&](const Place& place) {
    return LeftFold(static_cast<DType>(dtype), sources, count, elements, rounded != 0, to, place);
  });
}

int NarrowArray(int device, uint32_t dtype, const void* from, size_t elements, void* to, char* text,
                size_t text_bytes) {
  const Text said{text, text_bytes};
  if (const int wrong = CheckHere(device, from, "a rounding", "the source", said)) return wrong;
  if (const int wrong = CheckHere(device, to, "a rounding", "the target", said)) return wrong;
  return Do(device, "a rounding", said, [&](const Place& place) {
    return Narrow(static_cast<DType>(dtype), from, elements, to, place);
  });
}

int Describe(int device, kvstore_device_facts* facts, char* text, size_t text_bytes) {
  return Do(device, "a description", {text, text_bytes}, [&](const Place&) {
    cudaDeviceProp properties;
    int driver = 0;
    cudaError_t error = cudaGetDeviceProperties(&properties, device);
    if (error == cudaSuccess) error = cudaDriverGetVersion(&driver);
    if (error != cudaSuccess) return error;
    *facts = kvstore_device_facts{};
    std::snprintf(facts->name, sizeof facts->name, "%s", properties.name);
    facts->memory_bytes = properties.totalGlobalMem;
    facts->major = static_cast<uint32_t>(properties.major);
    facts->minor = static_cast<uint32_t>(properties.minor);
    facts->driver = static_cast<uint32_t>(driver);
    facts->runtime = CUDART_VERSION;
    return cudaSuccess;
  });
}

int StreamOf(int device, void** stream, char* text, size_t text_bytes) {
  return Do(device, "a stream", {text, text_bytes}, [&](const Place& place) {
    *stream = place.stream;
    return cudaSuccess;
  });
}

int Wait(int device, char* text, size_t text_bytes) {
  return Do(device, "a collective", {text, text_bytes}, [](const Place&) { return cudaSuccess; });
}

}  // namespace
}  // namespace kvstore::cuda

extern "C" __attribute__((visibility("default"))) const kvstore_device_plugin*
kvstore_device_plugin_v1() {
  using namespace kvstore::cuda;  // NOLINT
  static const kvstore_device_plugin kPlugin = [] {
    kvstore_device_plugin made{};
    made.abi = KVSTORE_DEVICE_ABI;
#ifdef __CUDACC__
    made.simulated = 0;
    made.name = "CUDA";
#else
    made.simulated = 1;
    made.name = "CUDA, simulated on the CPU";
#endif
    made.count = &Count;
    made.allocate = &Allocate;
    made.release = &Release;
    made.fill = &Fill;
    made.copy = &Copy;
    made.fold = &FoldArrays;
    made.rounded_max = static_cast<size_t>(kSourcesMax);
    made.narrow = &NarrowArray;
    made.describe = &Describe;
    made.allocate_pinned = &AllocatePinned;
    made.release_pinned = &ReleasePinned;
    made.adopt = &Adopt;
    made.stream = &StreamOf;
    made.wait = &Wait;
    return made;
  }();
  return &kPlugin;
}
