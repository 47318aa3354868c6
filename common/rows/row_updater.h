// One update of a table by the sum of a round: the same updaters as for dense parts
// (common/updater), applied row by row to the rows that the sum has, and to no others: the lazy
// update. An updater that is not lazy changes the others, too, as if the sum had zeros there: then
// the table has the bits of a dense value. With "assign" the whole table becomes the sum, as MXNet
// does it: rows that the sum has not are zero afterwards, or as the table's rule says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/cluster/identity.h"
#include "common/rows/row_sum.h"
#include "common/rows/row_table.h"
#include "common/updater/part_updater.h"

namespace kvstore {

// What an updater remembers of a table. Plain data, as UpdaterState.
struct RowState {
  StateLayout layout;
  std::vector<RowTable> tensors;  // in the order of the layout's names, as high as the table
  uint64_t updates = 0;           // since the tensors were zero
};
using RowStatePtr = std::unique_ptr<RowState>;

uint64_t BytesOf(const RowState& state);
// Whether an updater with that layout goes on with the state; null: there is none.
bool FitsLayout(const RowState* state, const StateLayout& layout);

// Which rows of a value a table has: row r is row r * stripes + stripe of the value.
struct Stripe {
  uint64_t stripes = 1;
  uint64_t stripe = 0;
};

// Who does the blocks that a long update is cut into: `run` calls `work` once for each of `blocks`,
// on several threads or on one, and returns when all are done. A seat is below `seats`; two blocks
// that are done at once have different ones. Does not throw.
struct BlockRunner {
  using Work = absl::FunctionRef<void(size_t block, size_t seat)>;

  size_t seats;
  absl::FunctionRef<void(size_t blocks, Work work)> run;
};
// One block after the other.
BlockRunner InTurn();

// `key` names the multipliers. `*state` is null before the first update and is created, replaced
// or dropped as the updater needs it. Consumes the sums. A sum without rows is an update too: it is
// counted. Runs of rows that lie side by side are updated at once, and so are short ones, gathered,
// so that narrow rows cost about what their bytes cost. An update that is not lazy visits all rows
// on the pages that exist; those on others are zero, as is what is remembered of them, and stay so.
// `norms`: of the whole value, if it is to be measured (row_norms.h). Each row is updated for
// itself, so that it does not matter to the bits who does which block. Errors: those of
// PartUpdater::CheckRows; INVALID_ARGUMENT for an updater that is not lazy and a table by rule,
// whose other rows nobody visits; then neither `table` nor `*state` has changed. May throw
// std::bad_alloc; then too, but for pages that are as if they had never been touched.
absl::Status UpdateRows(const PartUpdater& updater, KeyId key, DType dtype, RowTable& table,
                        RowSum& sum, RowStatePtr* state, Stripe stripe = {},
                        const RoundCounts& counts = {}, const NormSums& norms = {},
                        const BlockRunner& runner = InTurn());

}  // namespace kvstore
