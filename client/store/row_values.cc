#include "client/store/row_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

// Appends the elements as int64. False at the first that is outside of [0, rows), which is then
// described in `wrong`.
template <typename T>
bool AppendIds(const T* elements, size_t count, int64_t rows, std::vector<int64_t>* ids,
               std::string* wrong) {
  for (size_t i = 0; i < count; ++i) {
    const T id = elements[i];
    // Compared before it is cast: a float may be larger than any integer, or not a number.
    bool fits = false;
    if constexpr (std::is_floating_point_v<T>) {
      fits = static_cast<double>(id) > -1 && static_cast<double>(id) < static_cast<double>(rows);
    } else {
      fits = static_cast<int64_t>(id) >= 0 && static_cast<int64_t>(id) < rows;
    }
    if (!fits) {
      *wrong = fmt::format("{}", id);
      return false;
    }
    ids->push_back(static_cast<int64_t>(id));
  }
  return true;
}

bool AppendIds(const NDArray& array, int64_t rows, std::vector<int64_t>* ids, std::string* wrong) {
  const auto count = static_cast<size_t>(array.size());
  switch (array.dtype()) {
    case DataType::kFloat32:
      return AppendIds(array.data_as<float>(), count, rows, ids, wrong);
    case DataType::kFloat64:
      return AppendIds(array.data_as<double>(), count, rows, ids, wrong);
    case DataType::kFloat16:
    case DataType::kBFloat16: {
      std::vector<float> wide(count);
      Widen(ToDType(array.dtype()), wide.data(), array.data(), count);
      return AppendIds(wide.data(), count, rows, ids, wrong);
    }
    case DataType::kUInt8:
    case DataType::kBool:
      return AppendIds(array.data_as<uint8_t>(), count, rows, ids, wrong);
    case DataType::kInt8:
      return AppendIds(array.data_as<int8_t>(), count, rows, ids, wrong);
    case DataType::kInt32:
      return AppendIds(array.data_as<int32_t>(), count, rows, ids, wrong);
    case DataType::kInt64:
      return AppendIds(array.data_as<int64_t>(), count, rows, ids, wrong);
  }
  return true;
}

size_t RowBytes(const ValueSpec& spec) { return RowShapeOf(spec.shape, spec.dtype).row_bytes; }

}  // namespace

Rows RowsOf(const NDArray& array) {
  Rows rows;
  rows.data = array.data_as<uint8_t>();
  if (array.storage_type() == StorageType::kRowSparse) {
    rows.ids = array.indices().data();
    rows.count = array.indices().size();
    return rows;
  }
  const auto all = std::make_shared<std::vector<int64_t>>(array.shape()[0]);
  std::iota(all->begin(), all->end(), int64_t{0});
  rows.ids = all->data();
  rows.count = all->size();
  rows.owner = all;
  return rows;
}

RowSum FoldRows(const ValueSpec& spec, const std::vector<NDArray>& values) {
  const RowShape shape = RowShapeOf(spec.shape, spec.dtype);
  RowSum sum(spec.dtype, shape.row_elements);
  for (const NDArray& value : values) {
    const Rows rows = RowsOf(value);
    sum.Fold(rows.ids, rows.count, Payload(Slice{rows.data, rows.count * shape.row_bytes, {}}));
  }
  return sum;
}

Rows RowsOf(const ValueSpec& spec, RowSum sum) {
  struct Owned {
    RowSum sum;
    std::vector<uint8_t> rounded;
  };
  const auto owned = std::make_shared<Owned>(Owned{std::move(sum), {}});
  const std::vector<int64_t>& ids = owned->sum.rows();
  const uint8_t* data = owned->sum.sums();
  if (AccumulatorOf(spec.dtype) != spec.dtype) {
    owned->rounded.resize(ids.size() * RowBytes(spec));
    Narrow(spec.dtype, owned->rounded.data(), data, ids.size() * owned->sum.row_elements());
    data = owned->rounded.data();
  }
  return {ids.data(), ids.size(), data, owned};
}

NDArray ArrayOf(const ValueSpec& spec, const RowSum& sum) {
  std::vector<size_t> order(sum.rows().size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return sum.rows()[a] < sum.rows()[b]; });
  std::vector<int64_t> indices;
  indices.reserve(order.size());
  for (const size_t place : order) indices.push_back(sum.rows()[place]);
  const NDArray array = NDArray::RowSparse(spec.shape, ToDataType(spec.dtype));
  uint8_t* out = array.impl()->SetRows(std::move(indices));
  for (const size_t place : order) {
    Narrow(spec.dtype, out, sum.sums() + place * sum.row_sum_bytes(), sum.row_elements());
    out += RowBytes(spec);
  }
  return array;
}

std::vector<NDArray> AllDense(std::vector<NDArray> values) {
  for (NDArray& value : values) {
    if (value.storage_type() == StorageType::kDefault) continue;
    const NDArray dense(value.shape(), value.dtype());
    const size_t row_bytes = value.impl()->row_bytes();
    const auto* from = value.data_as<uint8_t>();
    for (const int64_t row : value.indices()) {
      std::memcpy(dense.data_as<uint8_t>() + static_cast<size_t>(row) * row_bytes, from, row_bytes);
      from += row_bytes;
    }
    value = dense;
  }
  return values;
}

absl::StatusOr<std::vector<int64_t>> RowIdsOf(const std::string& label, const NDArray& ids,
                                              int64_t rows) {
  std::vector<int64_t> asked;
  asked.reserve(static_cast<size_t>(ids.size()));
  std::string wrong;
  if (!AppendIds(ids, rows, &asked, &wrong)) {
    return absl::OutOfRangeError(
        fmt::format("{}: row ids from 0 to {} expected, got {}", label, rows - 1, wrong));
  }
  std::sort(asked.begin(), asked.end());
  asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
  return asked;
}

}  // namespace kvstore
