// Bytes that outlive a call: aligned, uniquely owned while they are written, shared and immutable
// once published.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace kvstore {

class PagePool;  // common/tensor/page_pool.h

// `size` bytes at a 64-byte boundary, not initialised. Throws std::bad_alloc.
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
  uint8_t* data_ = nullptr;
  size_t size_;
  void* block_ = nullptr;  // of the C library's allocator, which data_ lies in; null: of the pool
};

using BufferPtr = std::shared_ptr<const Buffer>;
using MutableBufferPtr = std::shared_ptr<Buffer>;

// The pool from which this process takes its large buffers from the first call on: for a process
// with a server in it, whose owner trims the pool now and then. Lives as long as the process.
// Thread-safe.
PagePool& PoolBuffers();

}  // namespace kvstore
