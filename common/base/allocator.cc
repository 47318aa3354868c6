#include "common/base/allocator.h"

#include <algorithm>
#include <cstdlib>  // defines __GLIBC__
#include <thread>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace kvstore {

void TuneAllocator() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2047 << 20);
  mallopt(M_TOP_PAD, 64 << 20);
  // Each arena keeps some of what it once had. A thread takes a new one where it would wait for
  // another thread's, up to 8 for each core: one for each is enough.
  mallopt(M_ARENA_MAX, static_cast<int>(std::max(2u, std::thread::hardware_concurrency())));
#endif
}

void TrimAllocator() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

void TeachAllocatorLargeBlocks() {
#ifdef __GLIBC__
  // Just below glibc's upper bound for its dynamic threshold (32 MiB on 64-bit systems, header and
  // page rounding included). Never touched, so no page of it ever exists.
  constexpr size_t kLargestLearned = (size_t{32} << 20) - 8192;
  void* volatile block = std::malloc(kLargestLearned);  // volatile: or the pair is optimised away
  std::free(block);
#endif
}

}  // namespace kvstore
