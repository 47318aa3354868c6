// Memory for measurements: large, page-aligned, touched before use.
#pragma once

#include <cstddef>
#include <memory>

namespace kvstore::bench {

// Owns `bytes` of zeros whose pages exist already, so that no measurement pays for page faults.
// Huge pages where the kernel gives them: the limits we compare with shall be the machine's best.
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  char* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace kvstore::bench
