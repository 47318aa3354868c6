// SquareSum: the sum of the squares of an array, for norms that updates are computed from. Its bits
// are a contract (kernels.h), so its order is one, too: it does not depend on the width of vectors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/tensor/dtype.h"

namespace kvstore {

// Eight sums go side by side, in f64: the square of element i, rounded once, is added to sum i mod
// 8, from element 0 on. In the end ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)).
class SquareSum {
 public:
  // Adds the next elements, of f32 or f64 (KVS_CHECKed); `x` needs no alignment. The array may come
  // in pieces of any sizes. Reads each element once.
  void Add(DType dtype, const void* x, size_t elements);
  // As if so many zeros had been added, which change no sum.
  void Skip(uint64_t elements) {
    next_ = static_cast<size_t>((next_ + elements % kLanes) % kLanes);
  }
  double Total() const;

 private:
  static constexpr size_t kLanes = 8;

  template <typename T>
  void AddOf(const void* x, size_t elements);

  std::array<double, kLanes> lanes_{};
  size_t next_ = 0;  // the lane of the next element
};

}  // namespace kvstore
