#include "client/store/row_values.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

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

RowSum FoldRows(const ValueSpec& spec, absl::Span<const NDArray> values) {
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
  const NDArray array = MakeRowSparseArray(spec.shape, ToDataType(spec.dtype));
  uint8_t* out = array.impl()->SetRows(std::move(indices));
  for (const size_t place : order) {
    Narrow(spec.dtype, out, sum.sums() + place * sum.row_sum_bytes(), sum.row_elements());
    out += RowBytes(spec);
  }
  return array;
}

Arrays AllDense(absl::Span<const NDArray> given) {
  Arrays values(given.begin(), given.end());
  for (NDArray& value : values) {
    if (value.storage_type() == StorageType::kDefault) continue;
    const NDArray dense = MakeArray(value.shape(), value.dtype());
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

}  // namespace kvstore
