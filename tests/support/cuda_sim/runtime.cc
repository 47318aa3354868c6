// The calls of the runtime: devices, copies, kernels, streams and events. All memory is the host's;
// some of it is said to be a device's.
#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cuda_sim/faults.h"
#include "tests/support/cuda_sim/fibers.h"
#include "tests/support/cuda_sim/memory.h"
#include "tests/support/cuda_sim/streams.h"

namespace cuda_sim {
namespace {

constexpr int kDriverVersion = 13000;
constexpr int kMultiprocessors = 2;
constexpr char kCopyFailed[] = "a copy that was to fail";
// Work that was put on a stream, and then its memory was given back.
constexpr char kGone[] = "a copy: its memory was given back before it was done";

thread_local int current_device = 0;

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

// One side of a copy, as it is at the call.
struct Side {
  const void* at = nullptr;
  size_t bytes = 0;
  bool of_device = false;
  bool pinned = false;

  Side(const void* address, size_t count)
      : at(address),
        bytes(count),
        of_device(count > 0 && Memory::All().DeviceOf(address, count) >= 0),
        pinned(count > 0 && IsPinned(address, count)) {}
  bool pageable() const { return !of_device && !pinned; }
  bool IsGone() const {
    return (of_device && Memory::All().DeviceOf(at, bytes) < 0) || (pinned && !IsPinned(at, bytes));
  }
};

Outcome DoneCopy(const Side& to, const Side& from, bool fails) {
  if (fails) return {cudaErrorECCUncorrectable, kCopyFailed};
  if (to.IsGone() || from.IsGone()) return {cudaErrorIllegalAddress, kGone};
  if (to.bytes > 0) std::memcpy(const_cast<void*>(to.at), from.at, to.bytes);
  return {};
}

// As CUDA's "API synchronization behavior" has it of copies named Async: from pageable host memory
// the bytes are taken at the call; to pageable memory the call returns when the copy is done; what
// is pinned or a device's is read and written when the stream comes to it.
cudaError_t PutCopy(void* to, const void* from, size_t bytes, cudaStream_t stream) {
  if (FailsNow(Call::kCopy)) return Failed(cudaErrorECCUncorrectable, kCopyFailed);
  const bool fails = FailsNow(Call::kCopyUnderWay);
  const Side target(to, bytes), source(from, bytes);
  Work work = [=] { return DoneCopy(target, source, fails); };
  if (source.pageable() && target.of_device) {
    const auto* const first = static_cast<const unsigned char*>(from);
    const auto staged = std::make_shared<const std::vector<unsigned char>>(first, first + bytes);
    work = [=] { return DoneCopy(target, Side(staged->data(), bytes), fails); };
  }
  const cudaError_t error = Streams::All().Put(stream, std::move(work));
  const bool waits = target.pageable() || (!target.of_device && !source.of_device);
  return error == cudaSuccess && waits ? Streams::All().WaitFor(stream) : error;
}

Outcome RunBlocks(dim3 grid, dim3 block, const std::function<void()>& thread) {
  try {
    for (unsigned z = 0; z < grid.z; ++z) {
      for (unsigned y = 0; y < grid.y; ++y) {
        for (unsigned x = 0; x < grid.x; ++x) RunBlock(grid, block, {x, y, z}, thread);
      }
    }
    return {};
  } catch (const KernelError& error) {
    return {error.error, error.what()};
  }
}

}  // namespace

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

cudaError_t Run(dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> thread) {
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  const size_t threads = size_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || size_t{grid.x} * grid.y * grid.z == 0) {
    return Failed(cudaErrorInvalidValue,
                  "a launch: 1 to 1024 threads of 1 or more blocks expected");
  }
  if (FailsNow(Call::kLaunch)) {
    return Streams::All().Put(stream, [] {
      return Outcome{cudaErrorLaunchFailure, "a launch that was to fail"};
    });
  }
  return Streams::All().Put(
      stream, [grid, block, thread = std::move(thread)] { return RunBlocks(grid, block, thread); });
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

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
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

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault) {
    for (const cudaError_t side : {CheckSide(to, bytes, to_device, "target"),
                                   CheckSide(from, bytes, from_device, "source")}) {
      if (side != cudaSuccess) return side;
    }
  }
  if (kind == cudaMemcpyDeviceToHost) CountToHost(bytes);
  return PutCopy(to, from, bytes, stream);
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device,
                                size_t bytes, cudaStream_t stream) {
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
  return PutCopy(to, from, bytes, stream);
}

cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t stream) {
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  if (const cudaError_t side = CheckSide(to, bytes, true, "target"); side != cudaSuccess)
    return side;
  if (FailsNow(Call::kCopy)) return Failed(cudaErrorECCUncorrectable, kCopyFailed);
  const bool fails = FailsNow(Call::kCopyUnderWay);
  const Side target(to, bytes);
  return Streams::All().Put(stream, [=]() -> Outcome {
    if (fails) return {cudaErrorECCUncorrectable, kCopyFailed};
    if (target.IsGone()) return {cudaErrorIllegalAddress, kGone};
    if (bytes > 0) std::memset(to, byte, bytes);
    return {};
  });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return Streams::All().Create(current_device, stream);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) { return Streams::All().Destroy(stream); }

cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return Streams::All().WaitFor(stream); }

cudaError_t cudaDeviceSynchronize() { return Streams::All().WaitForDevice(current_device); }

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return Streams::All().PutWait(stream, event);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  if (const cudaError_t error = Sticky(); error != cudaSuccess) return error;
  *event = new CudaSimEvent{current_device, nullptr};
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return Sticky();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return Streams::All().Record(event, stream);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) { return Streams::All().WaitFor(event); }

cudaError_t cudaEventQuery(cudaEvent_t event) { return Streams::All().Query(event); }

cudaError_t cudaGetLastError() {
  const cudaError_t error = TakeLastError();
  return error != cudaSuccess ? error : Sticky();
}

const char* cudaGetErrorString(cudaError_t error) {
  const char* const text = LastErrorText();
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorInvalidValue:
      return *text == 0 ? "an earlier kernel failed" : text;
    case cudaErrorECCUncorrectable:
      return kCopyFailed;
    case cudaErrorPeerAccessUnsupported:
      return "peer access is not supported between these two devices";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
  }
  return "unknown error";
}
