#include "tests/support/failing_new.h"

#include <sys/prctl.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

// Relaxed: the test and the SDK's thread hand work over under locks.
std::atomic<size_t> fails_from{SIZE_MAX};
std::atomic<int> spares{0};
std::atomic<int> failures{0};

// FailingNth: which one is alive (0: none), and whom it means: the thread with this mark, or those
// of this name. Both are written before `alive`, with release.
std::atomic<int> alive{0};
std::atomic<int> born{0};
std::atomic<const void*> chosen_mark{nullptr};
// 16 characters, zeros behind. Atomic, because a thread may still look for the one before.
std::atomic<uint64_t> chosen_name[2];
std::atomic<int> nth_spares{0};
std::atomic<int> nth_fails{0};
std::atomic<int> nth_failures{0};
thread_local int looked_at = 0;  // which FailingNth this thread has compared itself with
thread_local bool chosen = false;
thread_local int spared_scopes = 0;

bool Chosen() {
  if (const void* mark = chosen_mark.load(std::memory_order_relaxed)) return mark == &looked_at;
  char name[16] = {};
  prctl(PR_GET_NAME, name);
  char chosen_one[16];
  for (size_t i = 0; i < 2; ++i) {
    const uint64_t word = chosen_name[i].load(std::memory_order_relaxed);
    std::memcpy(chosen_one + 8 * i, &word, 8);
  }
  return std::strcmp(name, chosen_one) == 0;
}

bool FailsAsNth() {
  const int now = alive.load(std::memory_order_acquire);
  if (now == 0 || spared_scopes > 0) return false;
  if (looked_at != now) {
    looked_at = now;
    chosen = Chosen();
  }
  if (!chosen || nth_spares.fetch_sub(1, std::memory_order_relaxed) > 0) return false;
  if (nth_fails.fetch_sub(1, std::memory_order_relaxed) <= 0) return false;
  nth_failures.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool Fails(size_t size) {
  if (FailsAsNth()) return true;
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

FailingNth::FailingNth(int spared, int fails) {
  chosen_mark.store(&looked_at, std::memory_order_relaxed);
  nth_failures.store(0, std::memory_order_relaxed);
  nth_spares.store(spared, std::memory_order_relaxed);
  nth_fails.store(fails, std::memory_order_relaxed);
  alive.store(born.fetch_add(1, std::memory_order_relaxed) + 1, std::memory_order_release);
}
FailingNth::FailingNth(const char* thread, int spared, int fails) {
  char name[16] = {};
  std::strncpy(name, thread, sizeof name - 1);
  for (size_t i = 0; i < 2; ++i) {
    uint64_t word;
    std::memcpy(&word, name + 8 * i, 8);
    chosen_name[i].store(word, std::memory_order_relaxed);
  }
  chosen_mark.store(nullptr, std::memory_order_relaxed);
  nth_failures.store(0, std::memory_order_relaxed);
  nth_spares.store(spared, std::memory_order_relaxed);
  nth_fails.store(fails, std::memory_order_relaxed);
  alive.store(born.fetch_add(1, std::memory_order_relaxed) + 1, std::memory_order_release);
}
SparedThread::SparedThread() { ++spared_scopes; }
SparedThread::~SparedThread() { --spared_scopes; }

FailingNth::~FailingNth() { alive.store(0, std::memory_order_release); }
int FailingNth::failed() const { return nth_failures.load(std::memory_order_relaxed); }

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
