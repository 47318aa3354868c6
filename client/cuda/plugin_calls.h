// What the calls of the plugin (client/device/plugin_abi.h) have in common: how they say what is
// wrong, on which stream they put what is asked, and whether they wait for it.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <mutex>

#include "client/device/plugin_abi.h"
#include "common/kernels/cuda/launch.cuh"

namespace kvstore::cuda {

inline constexpr int kDevicesMax = 64;

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
                     : error == cudaErrorInvalidValue || error == cudaErrorInvalidResourceHandle
                         ? KVSTORE_DEVICE_INVALID
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

inline cudaStream_t StreamAt(void* stream) { return static_cast<cudaStream_t>(stream); }
inline cudaEvent_t EventAt(void* event) { return static_cast<cudaEvent_t>(event); }

// Does the work, which may put something on the stream, with the thread's device set.
template <typename Work>
int Put(int device, void* stream, const char* what, const Text& text, const Work& work) {
  Place place;
  cudaError_t error = Places::All().Use(device, &place);
  place.stream = StreamAt(stream);
  if (error == cudaSuccess) error = work(place);
  return error == cudaSuccess ? KVSTORE_DEVICE_OK : text.Failed(error, device, what);
}

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
inline int CheckHere(int device, const void* at, const char* what, const char* role,
                     const Text& text) {
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

// The calls of stream_calls.cc: copies, streams and events.
void AddStreamCalls(kvstore_device_plugin* plugin);
// The calls of code_calls.cc: sums that are encoded.
void AddCodeCalls(kvstore_device_plugin* plugin);
// The calls of row_calls.cc: sums of rows.
void AddRowCalls(kvstore_device_plugin* plugin);

}  // namespace kvstore::cuda
