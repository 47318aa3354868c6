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
// data: there are none.
struct RowFragment {
  PartIndex stripe = 0;
  uint32_t rows = 0;
  uint32_t fragment = 0;
  uint32_t fragments = 1;
  BufferPtr data;
};

// A contribution: fragments for every stripe, also for those that have no row; in the order of the
// stripes, those of a stripe in ascending order. Copies the rows once.
std::vector<RowFragment> CutRows(const RowShape& shape, const Rows& rows);

// The rows that one entry of a Pull asks for: `rows` ids. The rows come back in their order.
struct RowQuestion {
  PartIndex stripe = 0;
  uint32_t rows = 0;
  BufferPtr ids;
  // Where among all ids that were asked for each of these stands.
  std::vector<size_t> places;
};

// A pull of these rows, each asked for once.
std::vector<RowQuestion> CutIds(const RowShape& shape, const std::vector<int64_t>& ids);

// Copies `rows`, as many as there are places, of `row_bytes` each, to these places of
// `destination`: what came back to where it belongs. May throw std::bad_alloc; then nothing is
// copied.
void PutRows(const Payload& rows, size_t row_bytes, const std::vector<size_t>& places,
             uint8_t* destination);

}  // namespace kvstore
