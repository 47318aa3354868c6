// Lists of arrays, and where the arrays of a list are, for tests of stores with arrays on GPUs.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

#include "kvstore/ndarray.h"
#include "tests/support/dtype_arrays.h"

namespace kvstore::testing {

// Where the arrays of a list are: any of these.
inline Context Place(size_t number) {
  switch (number % 3) {
    case 0:
      return Context::Gpu(0);
    case 1:
      return Context::Gpu(1);
    default:
      return Context::Cpu();
  }
}

using ArrayLists = std::vector<std::vector<NDArray>>;

// Two lists of `count` arrays, in host memory.
inline ArrayLists RandomLists(DataType dtype, size_t elements, size_t count) {
  const DTypeOracle oracle(static_cast<DType>(dtype));
  std::mt19937_64 random(elements + count);
  ArrayLists lists(2);
  for (std::vector<NDArray>& list : lists) {
    for (size_t i = 0; i < count; ++i) {
      list.push_back(ToArray(oracle.Random(random, elements), dtype));
    }
  }
  return lists;
}

}  // namespace kvstore::testing
