// SharedMemory: memory that two processes of one host and one user both see. One of them makes it,
// and tells the other its name; the other opens it. It has no name in any file system: when the
// last process that has it is gone, however it went, so is the memory.
//
// Whoever opens it may rely on its size: a process that was told a name opens nothing but what was
// made here, and whose size is sealed, so that no access ends with SIGBUS because the other one cut
// it short. What is in it the other one may change at any time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

namespace kvstore {

// How another process finds it: a descriptor of the process that made it, and what is written at
// the start of the memory, since a process id may mean another process there (containers).
struct SharedMemoryName {
  static constexpr size_t kTokenBytes = 16;

  uint32_t pid = 0;
  uint32_t descriptor = 0;
  std::array<uint8_t, kTokenBytes> token{};
};

class SharedMemory {
 public:
  // `bytes` of zeros, which take no memory before they are written. Errors: UNAVAILABLE,
  // RESOURCE_EXHAUSTED say what the system refused.
  static absl::StatusOr<std::shared_ptr<SharedMemory>> Create(size_t bytes);
  // Errors: NOT_FOUND there is no such process here, or it has nothing of that name;
  // PERMISSION_DENIED it is another user's; INVALID_ARGUMENT it is something else than was said.
  static absl::StatusOr<std::shared_ptr<SharedMemory>> Open(const SharedMemoryName& name,
                                                            size_t bytes);

  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // The first SharedMemoryName::kTokenBytes are taken.
  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  // Of memory that was made here.
  const SharedMemoryName& name() const { return name_; }

  // Has the system give what `length` bytes at `offset` take, so that writing them cannot fail.
  // False if it has no more.
  bool Reserve(size_t offset, size_t length);

 private:
  SharedMemory(int descriptor, size_t size) : descriptor_(descriptor), size_(size) {}
  absl::Status Map();

  const int descriptor_;
  const size_t size_;
  uint8_t* data_ = nullptr;
  SharedMemoryName name_;
};

}  // namespace kvstore
