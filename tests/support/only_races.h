// ThreadSanitizer makes arithmetic some ten times as slow, and looks for races, which the numbers
// do not decide. Cases that differ only in a dtype, an optimizer or a length may be fewer there:
// every other build runs them all.
#pragma once

namespace kvstore::testing {

#ifdef KVS_TSAN
constexpr bool kOnlyRaces = true;
#else
constexpr bool kOnlyRaces = false;
#endif

}  // namespace kvstore::testing
