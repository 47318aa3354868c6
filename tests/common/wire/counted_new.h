// Counts what an executable that links counted_new.cc allocates with operator new.
#pragma once

#include <cstddef>

namespace kvstore::testing {

// Since the process began.
size_t AllocatedBytes();
size_t Allocations();

}  // namespace kvstore::testing
