// The CUDA runtime of a GPU that is simulated on the CPU: as much of NVIDIA's <cuda_runtime.h> as
// the plugin (client/cuda) and the kernels (common/kernels/cuda) use, for the host's compiler. The
// same sources, so what runs here is what nvcc compiles.
//
// * A thread of a block is a fiber: barriers, shuffles and votes are rendezvous. Blocks run one
//   after the other. Fibers take turns in the order of their numbers; who waits lets the next one
//   run.
// * Device memory is apart from host memory. The runtime's calls, and loads and stores of kernels
//   by __ldcs and __stcs, look whether an address is that of a live allocation of a device: what is
//   beyond an array, freed, or the host's is an error with a name, which sticks, as on a GPU.
// * A stream is a queue of work, of which nothing is done at the call: a seed chooses, among what
// is
//   legal, what is done when (tests/support/cuda_sim/streams.h).
//
// What can be made to go wrong: tests/support/cuda_sim/faults.h.
//
// KVS_TEST_CUDA_DEVICES: how many there are, 2 if it is not set, none with 0.
// KVS_TEST_CUDA_MEMORY_MIB: how much memory each has, 1024 if it is not set.
// KVS_TEST_CUDA_SEED: of the order of work, 0 if it is not set: as it was put on the streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define CUDART_VERSION 13000
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
// Blocks run one after the other on the thread that launches them.
#define __shared__ static thread_local

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct alignas(16) uint4 {
  uint32_t x = 0, y = 0, z = 0, w = 0;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned of_x = 1, unsigned of_y = 1, unsigned of_z = 1)  // NOLINT: as NVIDIA's
      : x(of_x), y(of_y), z(of_z) {}
};

enum cudaError_t : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorECCUncorrectable = 214,
  cudaErrorPeerAccessUnsupported = 217,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719,
};
enum cudaMemcpyKind : int {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4,
};
enum cudaMemoryType : int {
  cudaMemoryTypeUnregistered = 0,
  cudaMemoryTypeHost = 1,
  cudaMemoryTypeDevice = 2,
};
enum cudaDeviceAttr : int { cudaDevAttrMultiProcessorCount = 16 };
struct cudaPointerAttributes {
  cudaMemoryType type = cudaMemoryTypeUnregistered;
  int device = -1;
};
struct cudaDeviceProp {
  char name[256] = {};
  size_t totalGlobalMem = 0;
  int major = 0, minor = 0;
};
using cudaStream_t = struct CudaSimStream*;
using cudaEvent_t = struct CudaSimEvent*;
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDisableTiming = 2;
constexpr unsigned cudaHostAllocPortable = 1;

cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device,
                                size_t bytes, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t stream);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);

// What the simulation has beside that.
namespace cuda_sim {

// What the last error was about, in words; empty without one. Of the calling thread.
const char* LastErrorText();
// Forgets an error that sticks, and what is on streams, as a new process would.
void ForgetErrors();
// Begins the order of work anew, with this seed.
void SeedStreams(uint64_t seed);
// How many allocations of any device are alive.
size_t LiveAllocations();
// How many of pinned memory are.
size_t LivePinned();
// Of which device the bytes are; below 0: not all are in one live allocation.
int DeviceOf(const void* address, size_t bytes);

// Puts on the stream: `thread`, once for each thread of each block, as fibers.
cudaError_t Run(dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> thread);

template <typename... P, typename... A>
cudaError_t Launch(void (*kernel)(P...), dim3 grid, dim3 block, cudaStream_t stream,
                   A... arguments) {
  return Run(grid, block, stream, [=] { kernel(arguments...); });
}

// Of the thread (fiber) that calls.
uint3 ThreadIndex();
uint3 BlockIndex();
dim3 BlockSize();
dim3 GridSize();
void Barrier();
uint64_t Exchange(uint32_t mask, uint64_t value, unsigned from_lane);
uint32_t Ballot(uint32_t mask, bool vote);
unsigned Lane();
// Ends the kernel with an error unless all `bytes` at `address` are in one live allocation.
void CheckAddress(const void* address, size_t bytes, const char* what);

template <uint3 (*kIndex)()>
struct Index {
  struct X {
    operator unsigned() const { return kIndex().x; }  // NOLINT
  };
  X x{};
};
template <dim3 (*kSize)()>
struct Size {
  struct X {
    operator unsigned() const { return kSize().x; }  // NOLINT
  };
  X x{};
};

template <typename T>
T Exchanged(uint32_t mask, T value, unsigned from_lane) {
  static_assert(sizeof(T) <= sizeof(uint64_t), "what a lane's slot holds");
  uint64_t slot = 0;
  std::memcpy(&slot, &value, sizeof value);
  slot = Exchange(mask, slot, from_lane);
  std::memcpy(&value, &slot, sizeof value);
  return value;
}

}  // namespace cuda_sim

static constexpr cuda_sim::Index<cuda_sim::ThreadIndex> threadIdx{};
static constexpr cuda_sim::Index<cuda_sim::BlockIndex> blockIdx{};
static constexpr cuda_sim::Size<cuda_sim::BlockSize> blockDim{};
static constexpr cuda_sim::Size<cuda_sim::GridSize> gridDim{};

inline void __syncthreads() { cuda_sim::Barrier(); }
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned by) {
  const unsigned from = cuda_sim::Lane() + by;
  return cuda_sim::Exchanged(mask, value, from < 32 ? from : cuda_sim::Lane());
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, unsigned with) {
  return cuda_sim::Exchanged(mask, value, cuda_sim::Lane() ^ with);
}
inline unsigned __ballot_sync(unsigned mask, bool vote) { return cuda_sim::Ballot(mask, vote); }
template <typename T>
T __ldcs(const T* address) {
  cuda_sim::CheckAddress(address, sizeof(T), "load");
  return *address;
}
template <typename T>
void __stcs(T* address, T value) {
  cuda_sim::CheckAddress(address, sizeof(T), "store");
  *address = value;
}
