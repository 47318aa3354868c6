// DeviceLibrary: the plugin for devices (plugin_abi.h), opened when a program first names a GPU.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/device/plugin_abi.h"
#include "common/tensor/dtype.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// "gpu(1)".
std::string ContextName(Context context);
inline bool OnDevice(Context context) { return context.device == Context::Device::kGpu; }

// Bytes in the memory of a context: the host's, or a GPU's.
struct MemoryAt {
  Context context;
  void* at = nullptr;

  int device() const { return OnDevice(context) ? context.index : KVSTORE_DEVICE_HOST; }
};
struct ConstMemoryAt {
  Context context;
  const void* at = nullptr;

  int device() const { return OnDevice(context) ? context.index : KVSTORE_DEVICE_HOST; }
};

// What `kvctl doctor` says of GPUs.
struct DeviceFacts {
  std::string plugin_file;  // as it is opened
  std::string plugin;       // what it computes with; empty: it cannot be opened
  bool simulated = false;
  std::vector<kvstore_device_facts> gpus;
  std::string missing;  // what of plugin, driver and GPU; empty: nothing
};

// Errors of all that it is asked: RESOURCE_EXHAUSTED the device has too little memory, and nothing
// was done; INTERNAL the device failed, or the SDK has a bug; they say what was asked, of which
// GPU. Threading: thread-safe. Lives as long as the process.
class DeviceLibrary {
 public:
  // The plugin that `cuda-plugin` names (KVSTORE_CUDA_PLUGIN), else libkvstore_cuda.so where the
  // loader finds it. Once there is one it stays. That its GPUs are simulated is logged.
  // Errors: FAILED_PRECONDITION names `context` and what of driver, plugin and GPU is missing, or
  // what is wrong with the plugin; INVALID_ARGUMENT for a setting of the process that is wrong.
  static absl::StatusOr<const DeviceLibrary*> For(Context context);

  // Opens that plugin, or the one by default, to look; it stays loaded, but is not what For gives.
  static DeviceFacts Look(const std::string& file);

  bool simulated() const { return plugin_.simulated != 0; }

  // Not initialised; given back when the last reference goes.
  absl::StatusOr<std::shared_ptr<void>> Allocate(int gpu, size_t bytes) const;
  // The same, of host memory that GPUs copy from and to directly; asked of one of them.
  absl::StatusOr<std::shared_ptr<void>> AllocatePinned(int gpu, size_t bytes) const;
  // Before memory of somebody else's is used: waits, as it is told, for what is on `stream`, a
  // cudaStream_t, or for all that was put on the GPU's streams. Errors: also INVALID_ARGUMENT the
  // address is not in the GPU's memory, or the stream is not the GPU's.
  absl::Status Adopt(int gpu, const void* memory, kvstore_device_waits_for waits_for,
                     void* stream) const;
  absl::Status FillWithZeros(int gpu, void* to, size_t bytes) const;
  absl::Status Copy(const MemoryAt& to, const ConstMemoryAt& from, size_t bytes) const;
  // kernels.h's LeftFold, and with `rounded` its RoundedFold, of at most rounded_max() f16 or bf16,
  // of arrays in the GPU's memory. `to` is none of them.
  absl::Status Fold(int gpu, DType dtype, absl::Span<const void* const> sources, size_t elements,
                    bool rounded, void* to) const;
  size_t rounded_max() const { return plugin_.rounded_max; }
  // For what another library puts there; Wait returns when that has come to an end.
  absl::StatusOr<void*> Stream(int gpu) const;
  absl::Status Wait(int gpu) const;
  absl::Status Narrow(int gpu, DType dtype, const void* from, size_t elements, void* to) const;
  // The sum of at most encoded_max() arrays, f32, f64, f16 or bf16, rounded, on top of what was
  // left over, encoded. All are in the GPU's memory.
  absl::Status Encode(int gpu, DType dtype, absl::Span<const void* const> sources, size_t elements,
                      const kvstore_device_encoding& as) const;
  size_t encoded_max() const { return plugin_.encoded_max; }
  // Sums of rows, as the plugin has it, in AccumulatorOf(dtype).
  absl::Status SumRows(int gpu, DType dtype, const kvstore_device_rows& rows, void* to) const;

  // For DeviceStream and DeviceEvent (device_stream.h).
  const kvstore_device_plugin& plugin() const { return plugin_; }

 private:
  DeviceLibrary(const kvstore_device_plugin& plugin, int gpus) : plugin_(plugin), gpus_(gpus) {}
  // `facts`, where there are some: as far as one gets.
  static absl::StatusOr<const DeviceLibrary*> Open(const std::string& name, DeviceFacts* facts);

  const kvstore_device_plugin plugin_;
  const int gpus_;
};

// Copies between host and devices, or within one of them; without a device it is a memcpy.
absl::Status CopyBytes(const MemoryAt& to, const ConstMemoryAt& from, size_t bytes);

}  // namespace kvstore
