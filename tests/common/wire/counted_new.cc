#include "tests/common/wire/counted_new.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

// Relaxed: counters, read when nothing else runs.
std::atomic<size_t> allocated_bytes{0};
std::atomic<size_t> allocations{0};

void* Counted(void* memory, size_t size) {
  allocated_bytes.fetch_add(size, std::memory_order_relaxed);
  allocations.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void* OrThrow(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

namespace kvstore::testing {

size_t AllocatedBytes() { return allocated_bytes.load(std::memory_order_relaxed); }
size_t Allocations() { return allocations.load(std::memory_order_relaxed); }

}  // namespace kvstore::testing

// The array forms call these.
void* operator new(size_t size) { return OrThrow(Counted(std::malloc(size), size)); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return Counted(std::malloc(size), size);
}
void* operator new(size_t size, std::align_val_t align) {
  const size_t to = static_cast<size_t>(align);
  return OrThrow(Counted(std::aligned_alloc(to, (size + to - 1) / to * to), size));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
