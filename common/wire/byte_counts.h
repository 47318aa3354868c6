// How many payload bytes this process copied, and how many it sent and received: what a benchmark
// divides to see whether a copy crept into the way of the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvstore {

// Totals since the start of the process. The kernel's copies into and out of sockets are not in
// it, nor is arithmetic (sums, updates), which reads the bytes where they are.
struct WireBytes {
  uint64_t moved = 0;   // payload of the frames that were encoded and decoded
  uint64_t copied = 0;  // by memcpy, headers included
};

// Up to so many copied bytes of each other thread, and the last ones of one that has ended, may not
// be in it.
inline constexpr size_t kUncountedBytesMax = 16u << 10;

// Threading: thread-safe; the two numbers are read one after the other.
WireBytes TotalWireBytes();
void CountMovedBytes(size_t bytes);
void CountCopiedBytes(size_t bytes);

}  // namespace kvstore
