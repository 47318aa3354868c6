// The elements of an array of any dtype, as numbers: every number that kvbench moves is an integer
// that its dtype holds exactly, so it can be computed on one side and compared on the other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvstore/ndarray.h"

namespace kvstore::bench {

// Bytes of a part: the unit in which values travel.
inline constexpr size_t kPartBytes = size_t{1} << 20;

// Elements of a part.
inline size_t PartElements(DataType dtype) { return kPartBytes / DataTypeBytes(dtype); }

// All integers of 0 .. 2^ExactBits - 1 are exact in `dtype`, and if it has a sign their negatives.
int ExactBits(DataType dtype);

// No floating point: sums wrap around, which is as exact as can be.
bool IsInteger(DataType dtype);
// `value` as sums of an integer dtype leave it; of a floating-point dtype, `value`.
double Wrapped(DataType dtype, int64_t value);

// A view. Thread-compatible.
struct Elements {
  void* data = nullptr;
  size_t count = 0;
  DataType dtype = DataType::kFloat32;

  double Get(size_t i) const;
  // `value` is exact in the dtype.
  void Set(size_t i, double value) const;
};

}  // namespace kvstore::bench
