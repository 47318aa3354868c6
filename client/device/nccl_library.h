// NcclLibrary: NVIDIA's library of collectives, opened by name when a program first wants it. The
// SDK has no link to it.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace kvstore {

// Threading: thread-safe. Lives as long as the process.
class NcclLibrary {
 public:
  // `file`, or libnccl.so.2 where the loader finds it, if it is empty.
  // Errors: FAILED_PRECONDITION says what cannot be opened, or which of its functions is missing.
  static absl::StatusOr<const NcclLibrary*> Open(const std::string& file);
  // What Open opens for `file`.
  static std::string FileOf(const std::string& file);

  // "2.28.9".
  const std::string& version() const { return version_; }

 private:
  explicit NcclLibrary(std::string version) : version_(std::move(version)) {}

  const std::string version_;
};

}  // namespace kvstore
