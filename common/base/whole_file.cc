#include "common/base/whole_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "common/base/status_macros.h"

namespace kvstore {
namespace {

// What the folder of `path` is called in a system call.
std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

absl::Status WriteSynced(const std::string& path, int fd,
                         const std::vector<std::string_view>& bytes) {
  for (const std::string_view each : bytes) KVS_RETURN_IF_ERROR(WriteAll(fd, each, path));
  if (::fsync(fd) != 0) return SystemError("cannot fsync", path, errno);
  return absl::OkStatus();
}

}  // namespace

absl::Status SystemError(std::string_view what, const std::string& path, int error) {
  const std::string message =
      fmt::format("{} {}: {}", what, path, std::generic_category().message(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EISDIR:
      return absl::FailedPreconditionError(message);
    default:
      return absl::InternalError(message);
  }
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("cannot write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status FsyncDirectory(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok()) return SystemError("cannot open", path, errno);
  if (::fsync(fd.get()) != 0) return SystemError("cannot fsync", path, errno);
  return absl::OkStatus();
}

absl::Status WriteWholeFile(const std::string& path, const std::vector<std::string_view>& bytes,
                            mode_t mode) {
  struct stat old {};
  const bool replaces = ::stat(path.c_str(), &old) == 0;
  if (replaces && S_ISDIR(old.st_mode)) return SystemError("cannot write", path, EISDIR);
  // A name of its own, so that writers of one process, or of several, do not meet.
  static std::atomic<uint64_t> files{0};
  const std::string beside = fmt::format("{}.{}.{}.part", path, ::getpid(), ++files);
  const Descriptor fd(
      ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd.ok()) return SystemError("cannot write", path, errno);
  // Goes unless it takes its place, also where memory runs out.
  struct Unfinished {
    const std::string& path;
    bool there = true;
    ~Unfinished() {
      if (there) ::unlink(path.c_str());
    }
  } unfinished{beside};
  if (replaces && ::fchmod(fd.get(), old.st_mode & 0777) != 0) {
    return SystemError("cannot write", path, errno);
  }
  KVS_RETURN_IF_ERROR(WriteSynced(path, fd.get(), bytes));
  if (std::rename(beside.c_str(), path.c_str()) != 0) {
    return SystemError("cannot write", path, errno);
  }
  unfinished.there = false;
  return FsyncDirectory(FolderOf(path));
}

absl::Status ReadWholeFile(const std::string& path, absl::FunctionRef<uint8_t*(size_t)> room) {
  // A pipe that nobody writes to must not keep the caller.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.ok()) return SystemError("cannot read", path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return SystemError("cannot read", path, errno);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        fmt::format("cannot read {}: a plain file expected, it is none", path));
  }
  const auto size = static_cast<size_t>(info.st_size);
  uint8_t* to = room(size);
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::read(fd.get(), to + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("cannot read", path, errno);
    if (n == 0) {
      return absl::DataLossError(
          fmt::format("cannot read {}: {} bytes expected, it ends after {}", path, size, done));
    }
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

}  // namespace kvstore
