// What we ask of the C library's allocator: buffers of a megabyte come and go with every frame, and
// mapping and clearing their pages anew costs a fifth to a third of the throughput
// (docs/performance.md). Nothing happens where the C library is not glibc.
#pragma once

namespace kvstore {

// Keeps freed memory in the process instead of giving it back to the system at every turn.
// Process-wide, so only for our own programs' main(), before other threads start.
void TuneAllocator();

// Gives back what the C library keeps of freed memory. Takes a while, and whoever needs memory next
// pays for new pages: for a moment in which nothing happens. Thread-safe.
void TrimAllocator();

// For a library in somebody else's process: lets glibc find out by its own rule that blocks of
// several MiB come and go. It raises its thresholds when such a block is freed, so one is. Does
// nothing to a program that has set thresholds of its own.
void TeachAllocatorLargeBlocks();

}  // namespace kvstore
