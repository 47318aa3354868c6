#include "client/local/local_rows.h"

#include <cstring>
#include <new>

#include "client/array/ndarray_impl.h"
#include "client/store/row_values.h"

namespace kvstore {

LocalRows::LocalRows(const ValueSpec& spec, const NDArray& value)
    : spec_(spec),
      shape_(RowShapeOf(spec.shape, spec.dtype)),
      table_(shape_.rows, shape_.row_bytes) {
  const Rows rows = RowsOf(value);
  for (size_t i = 0; i < rows.count; ++i) {
    std::memcpy(table_.Touch(rows.ids[i]), rows.data + i * shape_.row_bytes, shape_.row_bytes);
  }
}

absl::Status LocalRows::Push(KeyId key, const std::vector<NDArray>& values,
                             const PartUpdater& rule) {
  RowSum sum = FoldRows(spec_, values);
  try {
    return UpdateRows(rule, key, spec_.dtype, table_, sum, &state_);
  } catch (const std::bad_alloc&) {
    return absl::UnknownError(
        "memory for an update expected, there is too little: some of the rows are updated, others "
        "perhaps not");
  }
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
  const NDArray seen = NDArray::RowSparse(spec_.shape, dtype);
  CopyRows(rows, seen);
  std::vector<uint8_t*> places;  // memory for all rows before any is written
  for (const int64_t row : rows) places.push_back(table_.Touch(row));
  NDArray stored = seen;  // if the updater assigns another array to it, that has no effect
  if (absl::Status updated = update(merged, &stored); !updated.ok()) return updated;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(places[i], seen.data_as<uint8_t>() + i * shape_.row_bytes, shape_.row_bytes);
  }
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
  uint8_t* to = output.impl()->SetRows(ids);
  for (const int64_t id : ids) {
    const uint8_t* const row = table_.Find(id);
    if (row != nullptr) {
      std::memcpy(to, row, shape_.row_bytes);
    } else {
      std::memset(to, 0, shape_.row_bytes);
    }
    to += shape_.row_bytes;
  }
}

}  // namespace kvstore
