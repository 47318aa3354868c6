// Row-sparse arrays of tests, as maps of rows. Where they are: tests/support/arrays.h.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/support/arrays.h"

namespace kvstore {

using RowMap = std::map<int64_t, std::vector<float>>;

// A row_sparse f32 array with these rows.
inline NDArray RowArray(std::vector<int64_t> shape, const RowMap& rows) {
  std::vector<int64_t> indices;
  for (const auto& [row, value] : rows) indices.push_back(row);
  if (indices.empty()) {
    return NDArray::RowSparse(std::move(shape), DataType::kFloat32, ArraysOnGpus::Next());
  }
  std::vector<int64_t> data_shape = shape;
  data_shape[0] = static_cast<int64_t>(indices.size());
  Floats data;
  for (const auto& [row, value] : rows) data.insert(data.end(), value.begin(), value.end());
  return NDArray::RowSparse(std::move(shape), std::move(indices), Array(data_shape, data));
}

// A row_sparse array that holds all rows of a dense one, whose bytes it shares.
inline NDArray WithAllRows(const NDArray& dense) {
  std::vector<int64_t> indices;
  for (int64_t row = 0; row < dense.shape()[0]; ++row) indices.push_back(row);
  return NDArray::RowSparse(dense.shape(), std::move(indices), dense);
}

// The rows that a row_sparse array holds, once it may be read.
inline RowMap RowsIn(const NDArray& given) {
  given.WaitToRead();
  const bool on_gpu = given.context().device == Context::Device::kGpu;
  const NDArray array = on_gpu ? given.Copy(Context::Cpu()) : given;
  RowMap rows;
  const auto width = static_cast<size_t>(array.size() / array.shape()[0]);
  const auto* from = array.data_as<float>();
  for (const int64_t row : array.indices()) {
    rows[row].assign(from, from + width);
    from += width;
  }
  return rows;
}

// All rows of a dense array but those that are zero.
inline RowMap NonZeroRowsIn(const NDArray& given) {
  const NDArray array = given.Copy(Context::Cpu());
  RowMap rows;
  const auto width = static_cast<size_t>(array.size() / array.shape()[0]);
  const auto* from = array.data_as<float>();
  for (int64_t row = 0; row < array.shape()[0]; ++row, from += width) {
    const std::vector<float> value(from, from + width);
    if (value != std::vector<float>(width)) rows[row] = value;
  }
  return rows;
}

inline NDArray Ids(const std::vector<int64_t>& ids) {
  if (ids.empty()) return NDArray();
  NDArray array = Zeros({static_cast<int64_t>(ids.size())}, DataType::kInt64);
  array.SyncCopyFromCPU(ids.data(), ids.size());
  return array;
}

// Of a row_sparse key: the rows that `ids` name, pulled and waited for.
inline RowMap PullRows(KVStore& store, int key, const std::vector<int64_t>& shape,
                       const NDArray& ids) {
  NDArray out = NDArray::RowSparse(shape, DataType::kFloat32, ArraysOnGpus::Next());
  store.PullRowSparse(std::vector<int>{key}, {{&out, ids}});
  return RowsIn(out);
}
// Of a key of either storage: all rows that are not zero.
inline RowMap PullNonZeroRows(KVStore& store, int key, const std::vector<int64_t>& shape) {
  NDArray out = Zeros(shape);
  store.Pull(std::vector<int>{key}, {&out});
  return NonZeroRowsIn(out);
}

}  // namespace kvstore
