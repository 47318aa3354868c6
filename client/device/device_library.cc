#include "client/device/device_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "client/base/environment.h"
#include "client/base/fork_guard.h"
#include "client/base/sdk_log.h"
#include "client/device/plugin_call.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

constexpr char kByDefault[] = "libkvstore_cuda.so";
constexpr char kDriver[] = "libcuda.so.1";

std::string OpeningError() {
  const char* const error = ::dlerror();
  return error == nullptr ? "it cannot be opened" : error;
}

absl::Status Missing(const std::string& what) { return absl::FailedPreconditionError(what); }

// What the process has opened.
struct Opened {
  Mutex mutex;
  const DeviceLibrary* library KVS_GUARDED_BY(mutex) = nullptr;
};
Opened& OfProcess() {
  static Opened& opened = *[] {
    auto* made = new Opened;  // arrays may outlive every static object
    HoldAcrossFork(&made->mutex);
    return made;
  }();
  return opened;
}

}  // namespace

std::string ContextName(Context context) {
  switch (context.device) {
    case Context::Device::kCpu:
      return fmt::format("cpu({})", context.index);
    case Context::Device::kGpu:
      return fmt::format("gpu({})", context.index);
    case Context::Device::kCpuPinned:
      return fmt::format("cpu_pinned({})", context.index);
  }
  return "device?";
}

absl::StatusOr<const DeviceLibrary*> DeviceLibrary::Open(const std::string& name,
                                                         DeviceFacts* facts) {
  const std::string file = name.empty() ? kByDefault : name;
  if (facts != nullptr) facts->plugin_file = file;
  void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    std::string missing = fmt::format("the plugin ({})", OpeningError());
    void* const driver = name.empty() ? ::dlopen(kDriver, RTLD_LAZY | RTLD_LOCAL) : nullptr;
    if (name.empty() && driver == nullptr) {
      missing = fmt::format("the NVIDIA driver ({} cannot be opened) and {}", kDriver, missing);
    }
    if (driver != nullptr) ::dlclose(driver);
    return Missing(missing + "; KVSTORE_CUDA_PLUGIN says where the plugin is");
  }
  // It stays loaded: arrays of its memory may outlive everything else.
  const auto function = reinterpret_cast<kvstore_device_plugin_function>(
      ::dlsym(handle, KVSTORE_DEVICE_PLUGIN_SYMBOL));
  if (function == nullptr) {
    return Missing(
        fmt::format("a plugin ('{}' does not export {})", file, KVSTORE_DEVICE_PLUGIN_SYMBOL));
  }
  const kvstore_device_plugin* const plugin = function();
  if (plugin == nullptr || plugin->abi != KVSTORE_DEVICE_ABI) {
    return Missing(fmt::format("a plugin of interface {} ('{}' has {})",
                               static_cast<int>(KVSTORE_DEVICE_ABI), file,
                               plugin == nullptr ? 0 : plugin->abi));
  }
  if (facts != nullptr) {
    facts->plugin = plugin->name;
    facts->simulated = plugin->simulated != 0;
  }
  int gpus = 0;
  char text[kPluginTextBytes] = {};
  if (const int counted = plugin->count(&gpus, text, sizeof text); counted != KVSTORE_DEVICE_OK) {
    const bool no_driver = counted == KVSTORE_DEVICE_NO_DRIVER;
    return Missing(fmt::format("{} ({})", no_driver ? "the NVIDIA driver" : "a GPU", text));
  }
  if (plugin->simulated != 0 && facts == nullptr) {
    LogWarning(fmt::format("the GPUs of this process are not real: {} ({})", plugin->name, file));
  }
  return new DeviceLibrary(*plugin, gpus);
}

absl::StatusOr<const DeviceLibrary*> DeviceLibrary::For(Context context) {
  Opened& opened = OfProcess();
  MutexLock lock(opened.mutex);
  if (opened.library == nullptr) {
    KVS_ASSIGN_OR_RETURN(const Environment environment, ReadEnvironment());
    auto library = Open(environment.cuda_plugin, nullptr);
    if (!library.ok()) {
      return Missing(fmt::format("{}: missing: {}", ContextName(context),
                                 std::string(library.status().message())));
    }
    opened.library = *library;
  }
  const int gpus = opened.library->gpus_;
  if (context.device != Context::Device::kCpu && (context.index < 0 || context.index >= gpus)) {
    return Missing(fmt::format("{}: missing: a GPU of that number (there are {})",
                               ContextName(context), gpus));
  }
  return opened.library;
}

DeviceFacts DeviceLibrary::Look(const std::string& file) {
  DeviceFacts facts;
  const absl::StatusOr<const DeviceLibrary*> opened = Open(file, &facts);
  if (!opened.ok()) {
    facts.missing = std::string(opened.status().message());
    return facts;
  }
  const std::unique_ptr<const DeviceLibrary> library(*opened);
  for (int gpu = 0; gpu < library->gpus_; ++gpu) {
    kvstore_device_facts of_gpu{};
    const absl::Status described = CallPlugin(library->plugin_.describe, gpu, &of_gpu);
    if (!described.ok()) {
      facts.missing = std::string(described.message());
      return facts;
    }
    facts.gpus.push_back(of_gpu);
  }
  return facts;
}

absl::StatusOr<std::shared_ptr<void>> DeviceLibrary::Allocate(int gpu, size_t bytes) const {
  void* memory = nullptr;
  KVS_RETURN_IF_ERROR(CallPlugin(plugin_.allocate, gpu, bytes, &memory));
  const auto release = plugin_.release;
  // If there is no memory for its count, the shared_ptr releases.
  return std::shared_ptr<void>(memory, [release, gpu](void* at) { release(gpu, at); });
}

absl::StatusOr<std::shared_ptr<void>> DeviceLibrary::AllocatePinned(int gpu, size_t bytes) const {
  void* memory = nullptr;
  KVS_RETURN_IF_ERROR(CallPlugin(plugin_.allocate_pinned, gpu, bytes, &memory));
  const auto release = plugin_.release_pinned;
  return std::shared_ptr<void>(memory, [release, gpu](void* at) { release(gpu, at); });
}

absl::Status DeviceLibrary::Adopt(int gpu, const void* memory, kvstore_device_waits_for waits_for,
                                  void* stream) const {
  char text[kPluginTextBytes] = {};
  const int code = plugin_.adopt(gpu, memory, waits_for, stream, text, sizeof text);
  if (code == KVSTORE_DEVICE_INVALID) return absl::InvalidArgumentError(text);
  return StatusOfPlugin(code, text);
}

absl::Status DeviceLibrary::FillWithZeros(int gpu, void* to, size_t bytes) const {
  return bytes == 0 ? absl::OkStatus() : CallPlugin(plugin_.fill, gpu, to, 0, bytes);
}

absl::Status DeviceLibrary::Copy(const MemoryAt& to, const ConstMemoryAt& from,
                                 size_t bytes) const {
  if (bytes == 0) return absl::OkStatus();
  return CallPlugin(plugin_.copy, to.device(), to.at, from.device(), from.at, bytes);
}

absl::Status DeviceLibrary::Fold(int gpu, DType dtype, absl::Span<const void* const> sources,
                                 size_t elements, bool rounded, void* to) const {
  return CallPlugin(plugin_.fold, gpu, static_cast<uint32_t>(dtype), sources.data(), sources.size(),
                    elements, rounded ? 1 : 0, to);
}

absl::Status DeviceLibrary::Narrow(int gpu, DType dtype, const void* from, size_t elements,
                                   void* to) const {
  return CallPlugin(plugin_.narrow, gpu, static_cast<uint32_t>(dtype), from, elements, to);
}

absl::Status DeviceLibrary::Encode(int gpu, DType dtype, absl::Span<const void* const> sources,
                                   size_t elements, const kvstore_device_encoding& as) const {
  return CallPlugin(plugin_.encode, gpu, static_cast<uint32_t>(dtype), sources.data(),
                    sources.size(), elements, &as);
}

absl::Status DeviceLibrary::SumRows(int gpu, DType dtype, const kvstore_device_rows& rows,
                                    void* to) const {
  return CallPlugin(plugin_.sum_rows, gpu, static_cast<uint32_t>(dtype), &rows, to);
}

absl::StatusOr<void*> DeviceLibrary::Stream(int gpu) const {
  void* stream = nullptr;
  KVS_RETURN_IF_ERROR(CallPlugin(plugin_.stream, gpu, &stream));
  return stream;
}

absl::Status DeviceLibrary::Wait(int gpu) const { return CallPlugin(plugin_.wait, gpu); }

absl::Status CopyBytes(const MemoryAt& to, const ConstMemoryAt& from, size_t bytes) {
  if (!OnDevice(to.context) && !OnDevice(from.context)) {
    if (bytes > 0) std::memcpy(to.at, from.at, bytes);
    return absl::OkStatus();
  }
  const Context device = OnDevice(to.context) ? to.context : from.context;
  KVS_ASSIGN_OR_RETURN(const DeviceLibrary* const library, DeviceLibrary::For(device));
  return library->Copy(to, from, bytes);
}

}  // namespace kvstore
