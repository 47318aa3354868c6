#include "common/tensor/buffer.h"

#include <atomic>
#include <new>

#include "common/tensor/page_pool.h"

namespace kvstore {
namespace {

// Null until PoolBuffers() was called. Process-wide, as the allocator is that it stands in for:
// buffers are made in many places, and freed by whichever thread of gRPC is the last to read them.
std::atomic<PagePool*> pool{nullptr};

}  // namespace

PagePool& PoolBuffers() {
  static PagePool* const pages = new PagePool();  // never destroyed: buffers may outlive main()
  pool.store(pages, std::memory_order_release);   // with Buffer()'s acquire
  return *pages;
}

Buffer::Buffer(size_t size) : size_(size) {
  PagePool* const pages = pool.load(std::memory_order_acquire);
  if (pages != nullptr && PagePool::Takes(size)) {
    data_ = pages->Take(size);
    // Not from the C library instead: what the pool leaves is for what cannot be refused, such as
    // gRPC's own memory.
    if (data_ == nullptr) throw std::bad_alloc();
    return;
  }
  // Not the aligned operator new: glibc 2.36 asks for alignment and header on top of the size, so a
  // hole that such a block left is never large enough for the next one like it.
  block_ = ::operator new(size + kAlignment);
  const auto address = reinterpret_cast<uintptr_t>(block_);
  data_ = static_cast<uint8_t*>(block_) + (kAlignment - address % kAlignment) % kAlignment;
}

Buffer::~Buffer() {
  if (block_ != nullptr) {
    ::operator delete(block_);
  } else {
    pool.load(std::memory_order_acquire)->Give(data_, size_);
  }
}

}  // namespace kvstore
