// RowSum: the sum of row-sparse contributions, row by row. A row's sum is the left fold, in the
// order of the calls, of the contributions that have it; it starts from the first of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/tensor/dtype.h"
#include "common/wire/payload.h"

namespace kvstore {

// Holds sums in AccumulatorOf(dtype) (kernels.h): f32 for f16 and bf16, so that they are rounded
// once.
// Threading: thread-compatible.
class RowSum {
 public:
  RowSum(DType dtype, size_t row_elements);

  // Adds `count` rows: data holds them back to back, in `dtype`, cut into slices anywhere; its size
  // is KVS_CHECKed. An id that stands there twice counts twice.
  void Fold(const int64_t* rows, size_t count, const Payload& data);

  // The rows that any contribution had, in the order of their first appearance.
  const std::vector<int64_t>& rows() const { return rows_; }
  // Sums in the order of rows(), in AccumulatorOf(dtype). To be overwritten by an update.
  uint8_t* sums() { return sums_.data(); }
  const uint8_t* sums() const { return sums_.data(); }
  size_t row_elements() const { return row_elements_; }
  size_t row_sum_bytes() const { return row_sum_bytes_; }
  // What it takes in memory, about.
  uint64_t bytes() const;

 private:
  void FoldRow(int64_t row, const uint8_t* data);

  DType dtype_;
  size_t row_elements_;
  size_t row_bytes_;
  size_t row_sum_bytes_;
  absl::flat_hash_map<int64_t, size_t> places_;
  std::vector<int64_t> rows_;
  std::vector<uint8_t> sums_;
};

}  // namespace kvstore
