#include "common/base/headroom.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>  // defines __GLIBC__
#include <new>

#include "common/base/mutex.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace kvstore {
namespace {

constexpr size_t kAskEveryBytes = size_t{1} << 20;

// Relaxed: set once, before there are shards.
std::atomic<bool> keeps{false};

bool SystemHas(size_t bytes) {
  void* const mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return false;
  munmap(mapped, bytes);
  return true;
}

// What the C library has, and nobody uses.
size_t FreedBytes() {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  return mallinfo2().fordblks;
#else
  return 0;
#endif
}

}  // namespace

void KeepHeadroom() { keeps.store(true, std::memory_order_relaxed); }

void LeaveHeadroom(size_t bytes) {
  thread_local size_t unasked = 0;
  if (!keeps.load(std::memory_order_relaxed)) return;
  if (unasked + bytes < kAskEveryBytes) {
    unasked += bytes;
    return;
  }
  // One at a time: asking takes the addresses for a moment, and shards that ask for the same
  // SetOptimizer would find each other's taken.
  static Mutex asking;
  const MutexLock lock(asking);
  // Where the C library has enough that was freed it needs none of the system's, but for pieces
  // that it cannot use: hence half of the headroom. After a refusal the next call asks again.
  const bool fits = SystemHas(bytes + kHeadroomBytes) ||
                    (SystemHas(kHeadroomBytes / 2) && FreedBytes() >= bytes + kHeadroomBytes / 2);
  if (!fits) throw std::bad_alloc();
  unasked = 0;
}

}  // namespace kvstore
