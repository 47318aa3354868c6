// Row-sparse arrays as the stores read them: rows, sums of rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "client/store/store_backend.h"
#include "common/rows/row_cut.h"
#include "common/rows/row_sum.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Rows of a value, one after the other in its dtype. An id may come twice.
struct Rows {
  const int64_t* ids = nullptr;
  size_t count = 0;
  const uint8_t* data = nullptr;
  std::shared_ptr<const void> owner;  // of what is not the caller's
};

// The rows of an array, where they are. One of default storage has all.
Rows RowsOf(const NDArray& array);

// The sum of the values, of either storage: the left fold in list order.
RowSum FoldRows(const ValueSpec& spec, absl::Span<const NDArray> values);

// The sums of `sum` as rows of the value, rounded to its dtype.
Rows RowsOf(const ValueSpec& spec, RowSum sum);

// The sums of `sum` as a row_sparse array of the value's dtype, whose rows are ascending.
NDArray ArrayOf(const ValueSpec& spec, const RowSum& sum);

// The values in default storage: row_sparse ones as copies, with zeros where they have no rows.
Arrays AllDense(absl::Span<const NDArray> values);

}  // namespace kvstore
