// Updates by an updater that is not ours (program_updater.h): it is given copies, and what it wrote
// to them becomes the part when it has succeeded. So code that fails half-way, or throws, has
// changed nothing, and pulls may go on reading the value meanwhile.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rows/row_cut.h"
#include "common/rows/row_sum.h"
#include "common/rows/row_table.h"
#include "common/rows/row_updater.h"
#include "common/updater/updater.h"
#include "server/values/program_updater.h"

namespace kvstore {

// What is updated.
struct ProgramTarget {
  const KeySpec& key;
  PartId part;
  Round version = 0;  // that the update makes
  RoundCounts counts;
};

// The next value of a dense part. `value`: in the key's dtype, `sum`: in AccumulatorOf of it, may
// be overwritten once the program's code runs. `*state` is made if it is null or of another
// updater. Errors: those of ProgramUpdater::Update; then `*state` has not changed, and also if
// std::bad_alloc is thrown: that is done before the program's code runs, with `sum` as it was.
absl::StatusOr<BufferPtr> UpdateDenseByProgram(ProgramUpdater& program, const ProgramTarget& target,
                                               const Buffer& value, const MutableBufferPtr& sum,
                                               std::unique_ptr<UpdaterState>* state);

// The same for the rows of `sum` in the stripe's `table`.
// Errors: UNIMPLEMENTED if the updater takes no rows, and the above.
absl::Status UpdateRowsByProgram(ProgramUpdater& program, const ProgramTarget& target,
                                 const RowShape& cut, RowTable& table, const RowSum& sum,
                                 RowStatePtr* state);

}  // namespace kvstore
