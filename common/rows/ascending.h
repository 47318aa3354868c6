// Questions about lists of row numbers, answered without a branch for each: they are asked of every
// push and pull of rows, and for rows of one element they would cost more than the rows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvstore {

// Whether each row is above the one before it. Rows are at least 0.
inline bool Ascend(const int64_t* rows, size_t count) {
  // a - b is below 0, its first bit is 1, if a < b; and it is for all, if it is in all of them.
  int64_t below = -1;
  for (size_t i = 1; i < count; ++i) below &= rows[i - 1] - rows[i];
  return below < 0;
}

// Whether rows[i] is rows[0] + i for all of them.
inline bool Consecutive(const int64_t* rows, size_t count) {
  int64_t other = 0;
  for (size_t i = 0; i < count; ++i) other |= rows[i] ^ (rows[0] + static_cast<int64_t>(i));
  return other == 0;
}

// Whether all are from 0 to `end` - 1. Any numbers.
inline bool AllBelow(const int64_t* rows, size_t count, int64_t end) {
  uint64_t outside = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto row = static_cast<uint64_t>(rows[i]);
    outside |= row | (static_cast<uint64_t>(end) - 1 - row);  // the first bit: below 0
  }
  return outside >> 63 == 0;
}

}  // namespace kvstore
