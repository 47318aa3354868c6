// LocalRows: the value of one row_sparse key of a local store, and the arithmetic on it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "client/local/local_value.h"
#include "client/store/store_backend.h"
#include "common/rows/row_cut.h"
#include "common/rows/row_table.h"
#include "common/rows/row_updater.h"
#include "common/updater/part_updater.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Methods may throw std::bad_alloc; then the value is as it was.
// Threading: thread-compatible.
class LocalRows {
 public:
  // A copy of the rows of the array, which may be of either storage.
  LocalRows(const ValueSpec& spec, const NDArray& value);

  // One round: the left fold of `values`, of either storage, in list order, then the updater on the
  // rows that any of them has.
  // Errors: the updater's; then the value stays as it was.
  absl::Status Push(KeyId key, const std::vector<NDArray>& values, const PartUpdater& updater);
  // The same with a user's updater, which sees the rows that any of the values has, and writes
  // these rows of the value. Errors: the updater's, then the value stays as it was.
  absl::Status Push(const std::vector<NDArray>& values, const WholeUpdate& update);

  // The whole value; a row_sparse output gets the rows that are not zero.
  void CopyTo(const NDArray& output) const;
  // `ids`: ascending, each once. The output, row_sparse, has these rows afterwards.
  void CopyRows(const std::vector<int64_t>& ids, const NDArray& output) const;

 private:
  ValueSpec spec_;
  RowShape shape_;
  RowTable table_;
  RowStatePtr state_;
};

}  // namespace kvstore
