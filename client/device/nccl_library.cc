#include "client/device/nccl_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <map>
#include <memory>
#include <utility>

#include "client/base/fork_guard.h"
#include "common/base/mutex.h"

namespace kvstore {
namespace {

constexpr char kByDefault[] = "libnccl.so.2";

// ncclDataType_t and ncclRedOp_t.
enum NcclType { kInt8 = 0, kUint8 = 1, kInt32 = 2, kInt64 = 4, kFloat32 = 7, kFloat64 = 8 };
enum NcclOp { kSum = 0, kMax = 2 };

// 22809 is 2.28.9; before 2.9 it was 2804.
std::string VersionText(int version) {
  const int of_major = version >= 10000 ? 10000 : 1000;
  return fmt::format("{}.{}.{}", version / of_major, version % of_major / 100, version % 100);
}

// What the process has opened, by name.
struct Opened {
  Mutex mutex;
  std::map<std::string, std::unique_ptr<const NcclLibrary>> libraries KVS_GUARDED_BY(mutex);
};
Opened& OfProcess() {
  static Opened& opened = *[] {
    auto* made = new Opened;  // stores may outlive every static object
    HoldAcrossFork(&made->mutex);
    return made;
  }();
  return opened;
}

}  // namespace

NcclSum NcclSumOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return {kFloat64, kSum};
    case DType::kUInt8:
      return {kUint8, kSum};
    case DType::kInt8:
      return {kInt8, kSum};
    case DType::kInt32:
      return {kInt32, kSum};
    case DType::kInt64:
      return {kInt64, kSum};
    case DType::kBool:
      return {kUint8, kMax};  // or, of 0 and 1
    default:
      return {kFloat32, kSum};
  }
}

std::string NcclLibrary::FileOf(const std::string& file) {
  return file.empty() ? kByDefault : file;
}

absl::StatusOr<const NcclLibrary*> NcclLibrary::Open(const std::string& file) {
  const std::string name = FileOf(file);
  Opened& opened = OfProcess();
  MutexLock lock(opened.mutex);
  if (const auto known = opened.libraries.find(name); known != opened.libraries.end()) {
    return known->second.get();
  }
  void* const handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const error = ::dlerror();
    return absl::FailedPreconditionError(
        fmt::format("NCCL ({}); KVSTORE_NCCL_LIB says where it is",
                    error == nullptr ? "it cannot be opened" : error));
  }
  std::unique_ptr<NcclLibrary> library(new NcclLibrary);
  std::string missing;
#define KVS_NCCL_FIND(function, type)                                                \
  library->function =                                                                \
      reinterpret_cast<std::add_pointer_t<type>>(::dlsym(handle, "nccl" #function)); \
  if (library->function == nullptr && missing.empty()) missing = "nccl" #function;
  KVS_NCCL_FUNCTIONS(KVS_NCCL_FIND)
#undef KVS_NCCL_FIND
  if (!missing.empty()) {
    return absl::FailedPreconditionError(fmt::format("NCCL ('{}' has no {})", name, missing));
  }
  int version = 0;
  if (library->GetVersion(&version) != 0) {
    return absl::FailedPreconditionError(fmt::format("NCCL ('{}' does not say its version)", name));
  }
  library->version_ = VersionText(version);
  return opened.libraries.emplace(name, std::move(library)).first->second.get();
}

absl::Status NcclLibrary::Check(int result, const std::string& what) const {
  if (result == 0) return absl::OkStatus();
  return absl::InternalError(fmt::format("{}: NCCL: {}", what, GetErrorString(result)));
}

}  // namespace kvstore
