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

}  // namespace

WireBytes TotalWireBytes() {
  return {moved_counter.bytes.load(std::memory_order_relaxed),
          copied_counter.bytes.load(std::memory_order_relaxed)};
}

void CountMovedBytes(size_t bytes) {
  moved_counter.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

void CountCopiedBytes(size_t bytes) {
  copied_counter.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

}  // namespace kvstore
