#include "common/transport/shm/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "common/base/status_macros.h"

namespace kvstore {
namespace {

constexpr char kMemoryName[] = "kvstore-lanes";
// What /proc says that such a descriptor is.
constexpr std::string_view kLinkText = "/memfd:kvstore-lanes";
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

absl::Status FromErrno(const char* what) {
  const int error = errno;
  const std::string text = fmt::format("{}: {}", what, std::strerror(error));
  switch (error) {
    case ENOENT:
    case ESRCH:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

// Nothing else than such memory is to be opened because a stranger named it: opening a device or a
// pipe may have effects.
absl::Status CheckLink(const std::string& path) {
  std::array<char, 64> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length < 0) return FromErrno(path.c_str());
  const std::string_view text(target.data(), static_cast<size_t>(length));
  if (text.substr(0, kLinkText.size()) == kLinkText) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: {} expected, it is {}", path, kLinkText, text));
}

}  // namespace

absl::StatusOr<std::shared_ptr<SharedMemory>> SharedMemory::Create(size_t bytes) {
  const int descriptor = ::memfd_create(kMemoryName, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return FromErrno("memfd_create");
  const std::shared_ptr<SharedMemory> memory(new SharedMemory(descriptor, bytes));
  if (::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) return FromErrno("ftruncate");
  if (::fcntl(descriptor, F_ADD_SEALS, kSeals) != 0) return FromErrno("F_ADD_SEALS");
  KVS_RETURN_IF_ERROR(memory->Map());
  SharedMemoryName& name = memory->name_;
  name.pid = static_cast<uint32_t>(::getpid());
  name.descriptor = static_cast<uint32_t>(descriptor);
  if (::getrandom(name.token.data(), name.token.size(), 0) !=
      static_cast<ssize_t>(name.token.size())) {
    return FromErrno("getrandom");
  }
  if (!memory->Reserve(0, name.token.size())) {
    return absl::ResourceExhaustedError("no memory for memory to share");
  }
  std::memcpy(memory->data_, name.token.data(), name.token.size());
  return memory;
}

absl::StatusOr<std::shared_ptr<SharedMemory>> SharedMemory::Open(const SharedMemoryName& name,
                                                                 size_t bytes) {
  const std::string path = fmt::format("/proc/{}/fd/{}", name.pid, name.descriptor);
  KVS_RETURN_IF_ERROR(CheckLink(path));
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return FromErrno(path.c_str());
  std::shared_ptr<SharedMemory> memory(new SharedMemory(descriptor, bytes));
  struct stat found {};
  if (::fstat(descriptor, &found) != 0) return FromErrno("fstat");
  if (found.st_uid != ::geteuid()) {
    return absl::PermissionDeniedError(
        fmt::format("{}: memory of user {} expected, it is {}'s", path, ::geteuid(), found.st_uid));
  }
  if (found.st_size != static_cast<off_t>(bytes)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {} bytes expected, it has {}", path, bytes, found.st_size));
  }
  const int seals = ::fcntl(descriptor, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return absl::InvalidArgumentError(fmt::format("{}: its size is not sealed", path));
  }
  KVS_RETURN_IF_ERROR(memory->Map());
  if (std::memcmp(memory->data_, name.token.data(), name.token.size()) != 0) {
    return absl::NotFoundError(fmt::format("{}: memory of another process", path));
  }
  return memory;
}

absl::Status SharedMemory::Map() {
  void* const data =
      ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor_, 0);
  if (data == MAP_FAILED) return FromErrno("mmap");
  data_ = static_cast<uint8_t*>(data);
  (void)::madvise(data, size_, MADV_DONTFORK);  // a child has no part in it
  return absl::OkStatus();
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
  ::close(descriptor_);
}

bool SharedMemory::Reserve(size_t offset, size_t length) {
  int result = 0;
  do {
    result = ::fallocate(descriptor_, 0, static_cast<off_t>(offset), static_cast<off_t>(length));
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

}  // namespace kvstore
