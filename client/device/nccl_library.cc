#include "client/device/nccl_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <utility>

namespace kvstore {
namespace {

constexpr char kByDefault[] = "libnccl.so.2";

// 22809 is 2.28.9; before 2.9 it was 2804.
std::string VersionText(int version) {
  const int of_major = version >= 10000 ? 10000 : 1000;
  return fmt::format("{}.{}.{}", version / of_major, version % of_major / 100, version % 100);
}

}  // namespace

std::string NcclLibrary::FileOf(const std::string& file) {
  return file.empty() ? kByDefault : file;
}

absl::StatusOr<const NcclLibrary*> NcclLibrary::Open(const std::string& file) {
  const std::string name = FileOf(file);
  void* const handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const error = ::dlerror();
    return absl::FailedPreconditionError(
        fmt::format("NCCL ({}); KVSTORE_NCCL_LIB says where it is",
                    error == nullptr ? "it cannot be opened" : error));
  }
  const auto get_version = reinterpret_cast<int (*)(int*)>(::dlsym(handle, "ncclGetVersion"));
  int version = 0;
  if (get_version == nullptr || get_version(&version) != 0) {
    return absl::FailedPreconditionError(
        fmt::format("NCCL ('{}' has no ncclGetVersion that answers)", name));
  }
  return new NcclLibrary(VersionText(version));
}

}  // namespace kvstore
