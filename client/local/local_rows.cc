#include "client/local/local_rows.h"

#include "client/array/ndarray_impl.h"
#include "client/store/row_values.h"

namespace kvstore {

LocalRows::LocalRows(const ValueSpec& spec, const NDArray& value)
    : spec_(spec),
      shape_(RowShapeOf(spec.shape, spec.dtype)),
      table_(shape_.rows, shape_.row_bytes) {
  const Rows rows = RowsOf(value);
  table_.Scatter(rows.ids, rows.count, rows.data);
}

absl::Status LocalRows::Push(KeyId key, const std::vector<NDArray>& values,
                             const PartUpdater& updater) {
  RowSum sum = FoldRows(spec_, values);
  return UpdateRows(updater, key, spec_.dtype, table_, sum, &state_);
}

absl::Status LocalRows::Push(const std::vector<NDArray>& values, const WholeUpdate& update) {
  const DataType dtype = ToDataType(spec_.dtype);
  NDArray merged;
  if (values.size() == 1 && values[0].storage_type() == StorageType::kRowSparse) {
    merged = MakeDetachedRows(values[0].data(), values[0].indices(), spec_.shape, dtype);
  } else {
    merged = ArrayOf(spec_, FoldRows(spec_, values));
  }
  const std::vector<int64_t> rows = merged.indices();
  const NDArray seen = MakeRowSparseArray(spec_.shape, dtype);
  CopyRows(rows, seen);
  for (const int64_t row : rows) table_.Touch(row);  // memory for all before any is written
  NDArray stored = seen;  // if the updater assigns another array to it, that has no effect
  if (absl::Status updated = update(merged, &stored); !updated.ok()) return updated;
  table_.Scatter(rows.data(), rows.size(), seen.data_as<uint8_t>());
  return absl::OkStatus();
}

void LocalRows::CopyTo(const NDArray& output) const {
  if (output.storage_type() == StorageType::kDefault) {
    table_.CopyTo(output.data_as<uint8_t>());
  } else {
    CopyRows(table_.NonZeroRows(), output);
  }
}

void LocalRows::CopyRows(const std::vector<int64_t>& ids, const NDArray& output) const {
  table_.Gather(ids.data(), ids.size(), output.impl()->SetRows(ids));
}

}  // namespace kvstore
