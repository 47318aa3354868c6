// Bytes that outlive a call: aligned, uniquely owned while they are written, shared and immutable
// once published.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace kvstore {

// `size` bytes at a 64-byte boundary, not initialised.
// Threading: written by one owner, then published as BufferPtr and never written again.
class Buffer {
 public:
  static constexpr size_t kAlignment = 64;

  explicit Buffer(size_t size);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_;
  size_t size_;
};

using BufferPtr = std::shared_ptr<const Buffer>;
using MutableBufferPtr = std::shared_ptr<Buffer>;

}  // namespace kvstore
