// Figures of an array: how large its numbers are, for who watches a training job. Not a contract of
// bits: they are shown, not computed with.
#pragma once

#include <cstdint>

namespace kvstore {

struct Figures {
  uint64_t elements = 0;
  uint64_t not_finite = 0;  // NaNs and infinities, which the two below leave out
  double squares = 0;       // the sum of the squares: its root is the norm
  double absmax = 0;

  void Add(const Figures& other) {
    elements += other.elements;
    not_finite += other.not_finite;
    squares += other.squares;
    absmax = absmax < other.absmax ? other.absmax : absmax;
  }
};

}  // namespace kvstore
