// How an operation on a row-sparse key is cut into requests about its stripes: contributions into
// fragments, pulls into pieces, so that neither a request nor its reply is larger than an entry may
// be. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "client/store/row_values.h"
#include "common/rows/row_cut.h"
#include "common/tensor/buffer.h"
#include "common/wire/payload.h"

namespace kvstore {

// The rows that one entry of an Init or Push brings: `rows` ids, then the rows themselves. Null
// data: there are none. See Piece for `rows_from`.
struct RowFragment {
  PartIndex stripe = 0;
  uint32_t rows = 0;
  uint64_t rows_from = 0;
  uint32_t fragment = 0;
  uint32_t fragments = 1;
  BufferPtr data;
};

// A contribution: fragments for every stripe, also for those that have no row; in the order of the
// stripes, those of a stripe in ascending order. Copies the rows once. `list_ids`: also where there
// is no gap between them.
std::vector<RowFragment> CutRows(const RowShape& shape, const Rows& rows, bool list_ids);

// Where the rows that one entry of a Pull asks for stand among all rows that the pull asks for.
struct RowPlaces {
  // By row of the entry. Empty if there is no gap between all the ids: then the entry's first row
  // stands at `first`, and the others `step` apart.
  std::vector<size_t> listed;
  size_t first = 0;
  size_t step = 1;

  // Of the i-th row of the entry.
  size_t At(size_t i) const { return listed.empty() ? first + i * step : listed[i]; }
};

// The rows that one entry of a Pull asks for: `rows` ids, or see Piece for `rows_from`. The rows
// come back in their order.
struct RowQuestion {
  PartIndex stripe = 0;
  uint32_t rows = 0;
  uint64_t rows_from = 0;
  BufferPtr ids;  // null: they are not listed
  RowPlaces places;
};

// A pull of these rows, ascending, each asked for once.
std::vector<RowQuestion> CutIds(const RowShape& shape, const std::vector<int64_t>& ids);

// Copies `rows`, those of a question, of `row_bytes` each, to their places in `destination`: what
// came back to where it belongs. May throw std::bad_alloc; then nothing is copied.
void PutRows(const Payload& rows, size_t row_bytes, const RowPlaces& places, uint8_t* destination);

}  // namespace kvstore
