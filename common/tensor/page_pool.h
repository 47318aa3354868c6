// PagePool: memory for blocks of a megabyte or so that come and go all the time: the parts of a
// server's values, the sums of its open rounds, contributions that are parked.
//
// Why not the C library's allocator alone. It fills the hole that such a block leaves with whatever
// comes next, a few bytes of a received message say, and then the next block needs new memory:
// a server took more with every round. And it keeps what it has: the memory of a minute in which
// workers were far apart was never given back. Here blocks have pages to themselves, freed
// neighbours become one hole, the oldest hole that is large enough is used first, and Trim() gives
// back what was not needed of late.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/base/mutex.h"

namespace kvstore {

// A block is a run of grains, rounded up; grains lie in slabs, which are mapped one by one. A grain
// is used, or idle (free, but its pages still exist), or gone (free, without pages).
//
// Thread-safe. Destroyed after its last block was given back.
class PagePool {
 public:
  static constexpr size_t kGrainBytes = size_t{16} << 10;
  static constexpr size_t kSlabBytes = size_t{64} << 20;
  // The sizes of blocks. Rounding up costs a block of the smallest size 6 % at most.
  static constexpr size_t kBlockBytesMin = size_t{256} << 10;
  static constexpr size_t kBlockBytesMax = size_t{8} << 20;

  PagePool();
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // Whether a block may be so large.
  static bool Takes(size_t bytes) { return bytes >= kBlockBytesMin && bytes <= kBlockBytesMax; }
  // `bytes` at a page boundary, not initialised. Null: the system has no more memory. It is asked
  // for 2 * kSlabBytes at a time, half of which it gets back, so so much is left for everything
  // else when it is null.
  uint8_t* Take(size_t bytes) KVS_EXCLUDES(mutex_);
  void Give(uint8_t* block, size_t bytes) KVS_EXCLUDES(mutex_);

  // Gives idle pages back to the system as far as neither the time since the last call nor the time
  // before that needed them; to be called every second or so. With steady work nothing is given
  // back, when it ends all is. Example: blocks of 100 MiB are always used, rounds take 40 MiB more
  // for moments: 140 MiB stay. The third call after the last round leaves 100 MiB.
  // Returns whether no block was taken since the last call.
  bool Trim() KVS_EXCLUDES(mutex_);

  struct Bytes {
    size_t used = 0;  // of blocks, rounded up to grains
    size_t idle = 0;
  };
  Bytes bytes() const KVS_EXCLUDES(mutex_);

 private:
  static constexpr size_t kGrains = kSlabBytes / kGrainBytes;

  struct Slab;
  // A run of grains; none: no slab.
  struct Run {
    Slab* slab = nullptr;
    size_t first = 0;
    size_t count = 0;
  };
  // A free run for a block of `count` grains, in the oldest slab that has one; maps another slab if
  // none has.
  Run FindRun(size_t count) KVS_REQUIRES(mutex_);
  Slab* MapSlab() KVS_REQUIRES(mutex_);
  // Some idle run, at most `grains_max` long, in the newest slab that has any.
  Run FindIdle(size_t grains_max) KVS_REQUIRES(mutex_);
  // How many idle grains were not needed of late.
  size_t SurplusGrains(size_t needed) const KVS_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<std::unique_ptr<Slab>> slabs_ KVS_GUARDED_BY(mutex_);  // oldest first
  std::unordered_map<uintptr_t, Slab*> by_address_ KVS_GUARDED_BY(mutex_);
  size_t used_ KVS_GUARDED_BY(mutex_) = 0;   // grains
  size_t pages_ KVS_GUARDED_BY(mutex_) = 0;  // grains that are used or idle
  // The most grains that were used at a time, since the last Trim and between the two before it.
  size_t peak_ KVS_GUARDED_BY(mutex_) = 0;
  size_t peak_before_ KVS_GUARDED_BY(mutex_) = 0;
  bool quiet_ KVS_GUARDED_BY(mutex_) = true;  // no block was taken since the last Trim
};

}  // namespace kvstore
