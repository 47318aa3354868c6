#include "tests/support/failing_new.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

// Relaxed: the test and the SDK's thread hand work over under locks.
std::atomic<size_t> fails_from{SIZE_MAX};
std::atomic<int> spares{0};
std::atomic<int> failures{0};

bool Fails(size_t size) {
  if (size < fails_from.load(std::memory_order_relaxed)) return false;
  if (spares.fetch_sub(1, std::memory_order_relaxed) > 0) return false;
  failures.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void* OrThrow(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

namespace kvstore::testing {

FailingNew::FailingNew(size_t bytes, int spared) {
  failures.store(0, std::memory_order_relaxed);
  spares.store(spared, std::memory_order_relaxed);
  fails_from.store(bytes, std::memory_order_relaxed);
}
FailingNew::~FailingNew() { fails_from.store(SIZE_MAX, std::memory_order_relaxed); }
int FailingNew::failed() const { return failures.load(std::memory_order_relaxed); }

}  // namespace kvstore::testing

// The array forms call these by themselves, but not AddressSanitizer's.
void* operator new[](size_t size) { return operator new(size); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { operator delete(memory); }

void* operator new(size_t size) { return OrThrow(Fails(size) ? nullptr : std::malloc(size)); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return Fails(size) ? nullptr : std::malloc(size);
}
void* operator new(size_t size, std::align_val_t align) {
  const size_t to = static_cast<size_t>(align);
  return OrThrow(Fails(size) ? nullptr : std::aligned_alloc(to, (size + to - 1) / to * to));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
