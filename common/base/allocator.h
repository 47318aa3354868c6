// What the daemons ask of the C library's allocator.
#pragma once

namespace kvstore {

// Keeps freed memory in the process instead of giving it back to the system at every turn: buffers
// of a megabyte come and go with every frame, and mapping and clearing their pages anew costs about
// a fifth of the throughput (docs/performance.md). Process-wide, so only for our own programs'
// main(), before other threads start; never for a library in somebody else's process. Does nothing
// where the C library is not glibc.
void TuneAllocator();

}  // namespace kvstore
