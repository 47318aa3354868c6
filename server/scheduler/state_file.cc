// The scheduler's durable state on disk: temp, fsync, rename, fsync of the directory.
#include "server/scheduler/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/crc32c.h"
#include "common/base/status_macros.h"
#include "common/base/whole_file.h"

namespace kvstore {

namespace {

constexpr std::string_view kMagic = "KVSSCHED";
constexpr uint32_t kFormatVersion = 1;
constexpr size_t kHeaderBytes = 24;
constexpr size_t kChecksumOffset = 20;

void PutLittleEndian(uint64_t value, size_t bytes, std::string* out) {
  for (size_t i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t GetLittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    value |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return value;
}

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace

std::string EncodeState(const v1::SchedulerState& state) {
  const std::string body = state.SerializeAsString();
  std::string bytes(kMagic);
  PutLittleEndian(kFormatVersion, 4, &bytes);
  PutLittleEndian(body.size(), 8, &bytes);
  PutLittleEndian(Crc32c(body, Crc32c(bytes)), 4, &bytes);
  return bytes + body;
}

absl::StatusOr<v1::SchedulerState> DecodeState(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) {
    return absl::DataLossError(
        fmt::format("{} bytes expected at least, got {}", kHeaderBytes, bytes.size()));
  }
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError("it does not begin with KVSSCHED: no state of a scheduler");
  }
  const uint64_t version = GetLittleEndian(bytes.substr(8, 4));
  const uint64_t length = GetLittleEndian(bytes.substr(12, 8));
  const std::string_view body = bytes.substr(kHeaderBytes);
  const uint64_t stored = GetLittleEndian(bytes.substr(kChecksumOffset, 4));
  const uint64_t computed = Crc32c(body, Crc32c(bytes.substr(0, kChecksumOffset)));
  if (length != body.size()) {
    return absl::DataLossError(
        fmt::format("{} bytes expected after the header, got {}", length, body.size()));
  }
  if (stored != computed) {
    return absl::DataLossError(
        fmt::format("checksum {:08x} expected, got {:08x}", stored, computed));
  }
  if (version != kFormatVersion) {
    return absl::FailedPreconditionError(
        fmt::format("format version {}; this scheduler reads version {}", version, kFormatVersion));
  }
  v1::SchedulerState state;
  if (!state.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return absl::DataLossError("its content is no SchedulerState");
  }
  return state;
}

absl::StatusOr<std::unique_ptr<StateFile>> StateFile::Open(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) == 0) {
    // The parent is synced, too: else a crash could take the whole directory, and with it every
    // rank that was issued.
    const std::filesystem::path parent = std::filesystem::absolute(directory).parent_path();
    KVS_RETURN_IF_ERROR(FsyncDirectory(parent.string()));
  } else if (errno != EEXIST) {
    return SystemError("cannot create state directory", directory, errno);
  }
  const std::string lock = directory + "/lock";
  const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return SystemError("cannot open", lock, errno);
  auto file = std::unique_ptr<StateFile>(new StateFile(directory, fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    std::array<char, 32> holder{};
    const ssize_t n = ::pread(fd, holder.data(), holder.size() - 1, 0);
    if (error != EWOULDBLOCK) return SystemError("cannot lock", lock, error);
    return absl::FailedPreconditionError(
        fmt::format("state directory {} is in use by another scheduler (process {})", directory,
                    n > 0 ? holder.data() : "unknown"));
  }
  // The process id is written for the message above only; what counts is the lock.
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    return SystemError("cannot write", lock, errno);
  }
  return file;
}

StateFile::StateFile(std::string directory, int lock_fd)
    : directory_(std::move(directory)), lock_fd_(lock_fd) {}

StateFile::~StateFile() { ::close(lock_fd_); }

std::string StateFile::Path(std::string_view name) const {
  return fmt::format("{}/{}", directory_, name);
}

absl::StatusOr<std::optional<v1::SchedulerState>> StateFile::Load() const {
  const std::string path = Path("state");
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) {
    if (errno != ENOENT) return SystemError("cannot open", path, errno);
    if (Exists(Path("state.1")) || Exists(Path("state.2"))) {
      return absl::DataLossError(fmt::format(
          "{} is missing, but older generations of it are there: ranks issued since would be "
          "issued again; restore it, or empty the directory to found a new cluster",
          path));
    }
    return std::optional<v1::SchedulerState>();
  }
  std::string bytes;
  std::array<char, 16384> chunk;
  while (true) {
    const ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("cannot read", path, errno);
    if (n == 0) break;
    bytes.append(chunk.data(), static_cast<size_t>(n));
    if (bytes.size() > kStateFileBytesMax) {
      return absl::DataLossError(
          fmt::format("{}: at most {} bytes expected, got more", path, kStateFileBytesMax));
    }
  }
  absl::StatusOr<v1::SchedulerState> state = DecodeState(bytes);
  if (!state.ok()) {
    return absl::Status(state.status().code(),
                        fmt::format("{}: {}", path, std::string(state.status().message())));
  }
  return std::optional<v1::SchedulerState>(*std::move(state));
}

absl::Status StateFile::Save(const v1::SchedulerState& state) {
  const std::string bytes = EncodeState(state);
  const std::string temp = Path("state.tmp");
  {
    const Descriptor fd(::open(temp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd.ok()) return SystemError("cannot create", temp, errno);
    KVS_RETURN_IF_ERROR(WriteAll(fd.get(), bytes, temp));
    if (::fsync(fd.get()) != 0) return SystemError("cannot fsync", temp, errno);
  }
  // The older generations are hard links, so that `state` itself is there at every moment. They
  // are a courtesy: a file system without links, or a first save, has none.
  (void)::rename(Path("state.1").c_str(), Path("state.2").c_str());
  (void)::link(Path("state").c_str(), Path("state.1").c_str());
  if (::rename(temp.c_str(), Path("state").c_str()) != 0) {
    return SystemError("cannot rename to", Path("state"), errno);
  }
  return FsyncDirectory(directory_);
}

}  // namespace kvstore
