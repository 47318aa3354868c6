// Sums of squares over the rows of a row-sparse value (common/model/norm_sums.h), for updates that
// need norms of the whole value (lamb, lans, lars).
//
// Each stripe has sums of its own, and those of the value are added up in the order of the stripes.
// Within a stripe element number i, counted over all rows of the stripe, is added to sum i mod 8
// (common/kernels/square_sum.h), in ascending order. Rows that nobody wrote are zeros, which change
// no sum: so it does not matter which of them are looked at, and a value of one stripe has the sums
// of a dense one of one part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/cluster/identity.h"
#include "common/model/norm_sums.h"
#include "common/rows/row_sum.h"
#include "common/rows/row_table.h"
#include "common/rows/row_updater.h"
#include "common/updater/part_updater.h"

namespace kvstore {

// A table, what is remembered of it, and the sum that it is about to be updated by.
struct MeasuredTable {
  KeyId key = 0;
  DType dtype = DType::kUnspecified;
  const RowTable* table = nullptr;
  const RowSum* sum = nullptr;
  const RowState* state = nullptr;  // null before the first update
  uint64_t stripes = 1;             // that the table has, row r being of stripe r mod `stripes`
  RoundCounts counts{};
};

// What the table adds in measuring number `step`; `norms`: what is known of the whole value. Rows
// of the table and of the sum, wherever they are, are visited: costs about what their bytes cost.
// Nothing changes. May throw std::bad_alloc.
// Errors: those of PartUpdater::CheckRows; INVALID_ARGUMENT for a table whose rule gives other
// rows than zeros: nobody visits those.
absl::StatusOr<NormSums> MeasureRows(const PartUpdater& updater, size_t step,
                                     const MeasuredTable& measured, const NormSums& norms);

// All that an update of a table of the whole value of `key_name` needs to know; zeros, if it needs
// nothing.
absl::StatusOr<NormSums> MeasureWholeRows(const PartUpdater& updater, std::string_view key_name,
                                          const MeasuredTable& measured);

}  // namespace kvstore
