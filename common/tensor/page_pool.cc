#include "common/tensor/page_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "common/base/check.h"

#if defined(__has_include) && __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>  // its macros are empty without AddressSanitizer
#else
#define ASAN_POISON_MEMORY_REGION(data, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(data, bytes)
#endif

namespace kvstore {
namespace {

size_t GrainsOf(size_t bytes) {
  return (bytes + PagePool::kGrainBytes - 1) / PagePool::kGrainBytes;
}

// `Bits` bits, with searches for runs of zeros.
template <size_t Bits>
class BitRow {
 public:
  bool Get(size_t at) const { return (words_[at / 64] >> (at % 64) & 1) != 0; }
  // The `count` bits from `first` on; returns how many of them changed.
  size_t Set(size_t first, size_t count, bool on) {
    size_t changed = 0;
    for (size_t at = first; at < first + count; ++at) {
      const uint64_t bit = uint64_t{1} << (at % 64);
      changed += Get(at) != on;
      words_[at / 64] = on ? words_[at / 64] | bit : words_[at / 64] & ~bit;
    }
    return changed;
  }
  // Where the first run of `count` zeros begins; Bits: there is none. `*longest` becomes the length
  // of the longest run before it.
  size_t FindZeros(size_t count, size_t* longest) const {
    size_t run = 0;
    *longest = 0;
    for (size_t at = 0; at < Bits;) {
      const uint64_t word = words_[at / 64] >> (at % 64);
      const size_t in_word = 64 - at % 64;
      if ((word & 1) != 0) {  // skip the ones
        at += ~word == 0 ? in_word : static_cast<size_t>(__builtin_ctzll(~word));
        run = 0;
        continue;
      }
      const size_t zeros = word == 0 ? in_word : static_cast<size_t>(__builtin_ctzll(word));
      at += zeros;
      run += zeros;
      if (run >= count) return at - run;
      *longest = std::max(*longest, run);
    }
    return Bits;
  }

 private:
  std::array<uint64_t, Bits / 64> words_ = {};
};

}  // namespace

struct PagePool::Slab {
  uint8_t* data = nullptr;
  BitRow<kGrains> used;
  BitRow<kGrains> pages;  // used or idle
  size_t used_count = 0;
  size_t idle_count = 0;
  size_t longest_free = kGrains;  // no free run is longer; there may be none as long

  uint8_t* At(size_t grain) const { return data + grain * kGrainBytes; }
};

PagePool::PagePool() = default;

PagePool::~PagePool() {
  for (const std::unique_ptr<Slab>& slab : slabs_) {
    KVS_CHECK(slab->used_count == 0);
    ASAN_UNPOISON_MEMORY_REGION(slab->data, kSlabBytes);
    munmap(slab->data, kSlabBytes);
  }
}

uint8_t* PagePool::Take(size_t bytes) {
  KVS_CHECK(Takes(bytes));
  const MutexLock lock(mutex_);
  const Run run = FindRun(GrainsOf(bytes));
  if (run.slab == nullptr) return nullptr;
  Slab& slab = *run.slab;
  KVS_CHECK(slab.used.Set(run.first, run.count, true) == run.count);
  const size_t fresh = slab.pages.Set(run.first, run.count, true);
  slab.used_count += run.count;
  slab.idle_count -= run.count - fresh;
  used_ += run.count;
  pages_ += fresh;
  peak_ = std::max(peak_, used_);
  quiet_ = false;
  ASAN_UNPOISON_MEMORY_REGION(slab.At(run.first), bytes);
  return slab.At(run.first);
}

void PagePool::Give(uint8_t* block, size_t bytes) {
  const size_t count = GrainsOf(bytes);
  ASAN_POISON_MEMORY_REGION(block, count * kGrainBytes);
  const MutexLock lock(mutex_);
  const auto address = reinterpret_cast<uintptr_t>(block);
  Slab& slab = *by_address_.at(address / kSlabBytes);
  const size_t first = address % kSlabBytes / kGrainBytes;
  KVS_CHECK(slab.used.Set(first, count, false) == count);
  slab.used_count -= count;
  slab.idle_count += count;
  slab.longest_free = kGrains - slab.used_count;
  used_ -= count;
}

PagePool::Run PagePool::FindRun(size_t count) {
  for (const std::unique_ptr<Slab>& slab : slabs_) {
    if (slab->longest_free < count) continue;
    const size_t first = slab->used.FindZeros(count, &slab->longest_free);
    if (first == kGrains) continue;
    slab->longest_free = kGrains - slab->used_count - count;
    return {slab.get(), first, count};
  }
  Slab* const slab = MapSlab();
  return {slab, 0, count};
}

PagePool::Slab* PagePool::MapSlab() {
  auto slab = std::make_unique<Slab>();
  slabs_.reserve(slabs_.size() + 1);
  // Twice as much, so that a slab's own boundary lies in it: a block's address tells its slab.
  void* const mapped = mmap(nullptr, 2 * kSlabBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<uint8_t*>(mapped);
  const size_t before = kSlabBytes - reinterpret_cast<uintptr_t>(begin) % kSlabBytes;
  uint8_t* const data = begin + before;
  munmap(begin, before);
  if (before < kSlabBytes) munmap(data + kSlabBytes, kSlabBytes - before);
  slab->data = data;
  try {
    by_address_[reinterpret_cast<uintptr_t>(data) / kSlabBytes] = slab.get();
  } catch (const std::bad_alloc&) {
    munmap(data, kSlabBytes);
    throw;
  }
  ASAN_POISON_MEMORY_REGION(data, kSlabBytes);
  slabs_.push_back(std::move(slab));
  return slabs_.back().get();
}

PagePool::Run PagePool::FindIdle(size_t grains_max) {
  for (auto slab = slabs_.rbegin(); slab != slabs_.rend(); ++slab) {
    if ((*slab)->idle_count == 0) continue;
    const auto idle = [&](size_t grain) {
      return (*slab)->pages.Get(grain) && !(*slab)->used.Get(grain);
    };
    size_t end = kGrains;
    while (!idle(end - 1)) --end;
    size_t first = end;
    while (first > 0 && end - first < grains_max && idle(first - 1)) --first;
    return {slab->get(), first, end - first};
  }
  return {};
}

size_t PagePool::SurplusGrains(size_t needed) const {
  return std::min(pages_ - used_, pages_ - std::min(pages_, needed));
}

bool PagePool::Trim() {
  // The system needs a moment to take pages, so it gets few of them at a time, and without the
  // lock: meanwhile they count as used, for nobody to take.
  constexpr size_t kGrainsAtATime = (size_t{4} << 20) / kGrainBytes;
  mutex_.Lock();
  const size_t needed = std::max(peak_, peak_before_);
  peak_before_ = std::exchange(peak_, used_);
  const bool quiet = std::exchange(quiet_, true);
  while (const size_t surplus = SurplusGrains(needed)) {
    const Run run = FindIdle(std::min(surplus, kGrainsAtATime));
    Slab& slab = *run.slab;
    slab.used.Set(run.first, run.count, true);
    slab.used_count += run.count;
    slab.pages.Set(run.first, run.count, false);
    slab.idle_count -= run.count;
    pages_ -= run.count;
    mutex_.Unlock();
    madvise(slab.At(run.first), run.count * kGrainBytes, MADV_DONTNEED);
    mutex_.Lock();
    slab.used.Set(run.first, run.count, false);
    slab.used_count -= run.count;
    slab.longest_free = kGrains - slab.used_count;
  }
  while (!slabs_.empty() && slabs_.back()->used_count == 0 && slabs_.back()->idle_count == 0) {
    uint8_t* const data = slabs_.back()->data;
    by_address_.erase(reinterpret_cast<uintptr_t>(data) / kSlabBytes);
    slabs_.pop_back();
    ASAN_UNPOISON_MEMORY_REGION(data, kSlabBytes);
    munmap(data, kSlabBytes);
  }
  mutex_.Unlock();
  return quiet;
}

PagePool::Bytes PagePool::bytes() const {
  const MutexLock lock(mutex_);
  return {used_ * kGrainBytes, (pages_ - used_) * kGrainBytes};
}

}  // namespace kvstore
