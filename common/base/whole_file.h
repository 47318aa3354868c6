// Files that are there as a whole or not at all: written beside their place, synced, and renamed.
// And what a system call that failed means in the words of a status.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace kvstore {

// "cannot write /a/b: No space left on device". RESOURCE_EXHAUSTED: no space, no quota, or over the
// limit on files; PERMISSION_DENIED: not allowed, or read-only; NOT_FOUND: no such file or folder;
// FAILED_PRECONDITION: it is a folder; else INTERNAL.
absl::Status SystemError(std::string_view what, const std::string& path, int error);

// Closes a file descriptor at the end of a scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  const int fd_;
};

// Errors: SystemError.
absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path);
absl::Status FsyncDirectory(const std::string& path);

// Makes `path` a file with these bytes, back to back: they are written to a new file beside it,
// which is synced and takes its place, and the folder is synced. If that fails, what was at `path`
// is there as before, and nothing else is left. A link at `path` is replaced, not followed. A new
// file has `mode`, less the process's umask; one that takes another's place has that one's mode.
// Errors: SystemError.
absl::Status WriteWholeFile(const std::string& path, const std::vector<std::string_view>& bytes,
                            mode_t mode = 0666);

// Reads a file into the memory that `room` gives for its size, in bytes. Errors: SystemError, what
// `room` throws; DATA_LOSS: it became shorter meanwhile; FAILED_PRECONDITION: it is no plain file.
absl::Status ReadWholeFile(const std::string& path, absl::FunctionRef<uint8_t*(size_t)> room);

}  // namespace kvstore
