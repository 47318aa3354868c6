// The plugin for NVIDIA's GPUs (client/device/plugin_abi.h): its memory and sums; copies and
// streams are in stream_calls.cc, codes in code_calls.cc, rows in row_calls.cc. Compiled by nvcc
// with the real runtime, and by the host's compiler for the simulated GPU.
//
// Each device has a stream of its own, on which is put, and waited for, what is asked without one;
// the SDK makes others.
#include <cuda_runtime.h>

#include <cstdio>

#include "client/cuda/plugin_calls.h"
#include "client/device/plugin_abi.h"
#include "common/kernels/cuda/sums.cuh"

namespace kvstore::cuda {
namespace {

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

// An event, so that what others put on the stream meanwhile is not waited for.
cudaError_t WaitForUsers(cudaStream_t stream) {
  cudaEvent_t event = nullptr;
  cudaError_t error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  if (error != cudaSuccess) return error;
  error = cudaEventRecord(event, stream);
  if (error == cudaSuccess) error = cudaEventSynchronize(event);
  const cudaError_t destroyed = cudaEventDestroy(event);
  return error == cudaSuccess ? destroyed : error;
}

int Adopt(int device, const void* memory, int waits_for, void* stream, char* text,
          size_t text_bytes) {
  const Text said{text, text_bytes};
  if (const int wrong = CheckHere(device, memory, "a tensor", "an address", said)) return wrong;
  return Put(device, stream, "a tensor", said, [&](const Place& place) {
    switch (waits_for) {
      case KVSTORE_DEVICE_WAITS_FOR_NOTHING:
        return cudaSuccess;
      case KVSTORE_DEVICE_WAITS_FOR_STREAM:
        return WaitForUsers(place.stream);
      default:
        return cudaDeviceSynchronize();
    }
  });
}

int Fill(int device, void* to, int byte, size_t bytes, char* text, size_t text_bytes) {
  return Do(device, "a fill", {text, text_bytes},
            [&](const Place& place) { return cudaMemsetAsync(to, byte, bytes, place.stream); });
}

int CheckFold(int device, const void* const* sources, size_t count, const void* to,
              const Text& said) {
  for (size_t k = 0; k < count; ++k) {
    if (const int wrong = CheckHere(device, sources[k], "a sum", "a source", said)) return wrong;
  }
  return CheckHere(device, to, "a sum", "the target", said);
}

int FoldArrays(int device, uint32_t dtype, const void* const* sources, size_t count,
               size_t elements, int rounded, void* to, char* text, size_t text_bytes) {
  const Text said{text, text_bytes};
  if (const int wrong = CheckFold(device, sources, count, to, said)) return wrong;
  return Do(device, "a sum", said, [&](const Place& place) {
    return LeftFold(static_cast<DType>(dtype), sources, count, elements, rounded != 0, to, place);
  });
}

int FoldOn(int device, void* stream, uint32_t dtype, const void* const* sources, size_t count,
           size_t elements, int rounded, void* to, char* text, size_t text_bytes) {
  const Text said{text, text_bytes};
  if (const int wrong = CheckFold(device, sources, count, to, said)) return wrong;
  return Put(device, stream, "a sum", said, [&](const Place& place) {
    return LeftFold(static_cast<DType>(dtype), sources, count, elements, rounded != 0, to, place);
  });
}

int CheckNarrow(int device, const void* from, const void* to, const Text& said) {
  if (const int wrong = CheckHere(device, from, "a rounding", "the source", said)) return wrong;
  return CheckHere(device, to, "a rounding", "the target", said);
}

int NarrowArray(int device, uint32_t dtype, const void* from, size_t elements, void* to, char* text,
                size_t text_bytes) {
  const Text said{text, text_bytes};
  if (const int wrong = CheckNarrow(device, from, to, said)) return wrong;
  return Do(device, "a rounding", said, [&](const Place& place) {
    return Narrow(static_cast<DType>(dtype), from, elements, to, place);
  });
}

int NarrowOn(int device, void* stream, uint32_t dtype, const void* from, size_t elements, void* to,
             char* text, size_t text_bytes) {
  const Text said{text, text_bytes};
  if (const int wrong = CheckNarrow(device, from, to, said)) return wrong;
  return Put(device, stream, "a rounding", said, [&](const Place& place) {
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
kvstore_device_plugin_v2() {
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
    made.fold = &FoldArrays;
    made.rounded_max = static_cast<size_t>(kSourcesMax);
    made.narrow = &NarrowArray;
    made.describe = &Describe;
    made.allocate_pinned = &AllocatePinned;
    made.release_pinned = &ReleasePinned;
    made.adopt = &Adopt;
    made.stream = &StreamOf;
    made.wait = &Wait;
    AddStreamCalls(&made);
    AddCodeCalls(&made);
    AddRowCalls(&made);
    made.fold_on = &FoldOn;
    made.narrow_on = &NarrowOn;
    return made;
  }();
  return &kPlugin;
}
