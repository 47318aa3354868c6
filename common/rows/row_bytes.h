// Copies many rows between tables and lists, fast also where rows are narrow.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "common/wire/payload.h"

namespace kvstore {

// Calls copy(bytes) with row_bytes: as a constant where rows are so narrow that a call of memcpy
// for each row would cost more than the copying.
template <typename Copy>
void ForRowBytes(size_t row_bytes, const Copy& copy) {
  switch (row_bytes) {
    case 1:
      return copy(std::integral_constant<size_t, 1>());
    case 2:
      return copy(std::integral_constant<size_t, 2>());
    case 4:
      return copy(std::integral_constant<size_t, 4>());
    case 8:
      return copy(std::integral_constant<size_t, 8>());
    case 16:
      return copy(std::integral_constant<size_t, 16>());
    default:
      return copy(row_bytes);
  }
}

// Asks the cache for bytes that are about to be read or written: for all of a page of RowTable.
inline void PrefetchBytes(const void* bytes, size_t size) {
  constexpr size_t kLine = 64, kMost = 1024;
  const auto* const begin = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < std::min(size, kMost); at += kLine) __builtin_prefetch(begin + at);
}

// Copies `count` rows (at least one) out of a table to `to`, where they lie back to back. `first`
// is where rows[0] lies; row r lies (r - rows[0]) * row_bytes behind it.
inline void GatherRows(const int64_t* rows, size_t count, const uint8_t* first, size_t row_bytes,
                       uint8_t* to) {
  ForRowBytes(row_bytes, [=](auto bytes) {
    for (size_t i = 0; i < count; ++i) {
      const auto offset = (rows[i] - rows[0]) * static_cast<std::ptrdiff_t>(bytes);
      std::memcpy(to + i * bytes, first + offset, bytes);
    }
  });
}

// Copies `count` rows, which lie back to back at `from`, to their places in a table, given as
// above.
inline void ScatterRows(const int64_t* rows, size_t count, const uint8_t* from, size_t row_bytes,
                        uint8_t* first) {
  ForRowBytes(row_bytes, [=](auto bytes) {
    for (size_t i = 0; i < count; ++i) {
      const auto offset = (rows[i] - rows[0]) * static_cast<std::ptrdiff_t>(bytes);
      std::memcpy(first + offset, from + i * bytes, bytes);
    }
  });
}

// Calls visit(bytes, rows) for stretches of `data`, front to back, each of whole rows of
// `row_bytes` >= 1 behind each other. A row that lies in several slices is put together first, and
// is a stretch of its own. Bytes at the end that are no whole row are left out. May throw
// std::bad_alloc, before the first visit only.
template <typename Visit>
void ForEachStretch(const Payload& data, size_t row_bytes, const Visit& visit) {
  std::vector<uint8_t> straddling;  // a row, as far as it came
  if (data.slices().size() > 1) straddling.reserve(row_bytes);
  for (const Slice& slice : data.slices()) {
    const uint8_t* in = slice.data;
    size_t left = slice.size;
    if (!straddling.empty()) {
      const size_t take = std::min(row_bytes - straddling.size(), left);
      straddling.insert(straddling.end(), in, in + take);
      in += take;
      left -= take;
      if (straddling.size() < row_bytes) continue;
      visit(static_cast<const uint8_t*>(straddling.data()), size_t{1});
      straddling.clear();
    }
    const size_t rows = left / row_bytes;
    if (rows > 0) visit(in, rows);
    const uint8_t* const rest = in + rows * row_bytes;
    if (data.slices().size() > 1) straddling.insert(straddling.end(), rest, in + left);
  }
}

}  // namespace kvstore
