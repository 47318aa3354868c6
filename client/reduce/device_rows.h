// Sums of rows that GPUs have, on a GPU (common/kernels/cuda/rows.cuh): only the sums cross to the
// host, each row once, however many arrays have it. Which rows there are is found out on the host,
// where their ids are. The bits are those of kvstore::FoldRows.
#pragma once

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/reduce/device_reducer.h"
#include "client/store/store_backend.h"
#include "common/rows/row_sum.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Whether that is worth its while: several arrays, of which a GPU has some, and rows that are
// longer than what is said of each.
bool SumsRowsOnDevice(const ValueSpec& spec, absl::Span<const NDArray> values);

// The sum of such arrays, of either storage, by the GPU that has most of them; it is brought what
// the others have. `blocks`: memory of GPUs for a while. Errors: the GPU's. May throw
// std::bad_alloc.
absl::StatusOr<RowSum> FoldRowsOnDevice(const ValueSpec& spec, absl::Span<const NDArray> values,
                                        DeviceBlocks* blocks);

}  // namespace kvstore
