#include "common/wire/byte_counts.h"

#include <atomic>

namespace kvstore {
namespace {

// Apart, so that the threads that send do not slow down those that copy.
struct alignas(64) Counter {
  std::atomic<uint64_t> bytes{0};
};
Counter moved_counter;
Counter copied_counter;
// What this thread has copied in small pieces and not added to the counter yet: to add each would
// have the processor wait, each time, until what was copied has reached its cache.
thread_local uint64_t copied_here = 0;

void AddCopied() {
  copied_counter.bytes.fetch_add(copied_here, std::memory_order_relaxed);
  copied_here = 0;
}

}  // namespace

WireBytes TotalWireBytes() {
  AddCopied();
  return {moved_counter.bytes.load(std::memory_order_relaxed),
          copied_counter.bytes.load(std::memory_order_relaxed)};
}

void CountMovedBytes(size_t bytes) {
  if (copied_here > 0) AddCopied();
  moved_counter.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

void CountCopiedBytes(size_t bytes) {
  copied_here += bytes;
  if (copied_here >= kUncountedBytesMax) AddCopied();
}

}  // namespace kvstore
