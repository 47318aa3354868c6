// Values in closed form: every element that kvbench expects anywhere can be computed from a seed,
// so a result can be checked in whole without a second copy of it. All are integers that f32 holds
// exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace kvstore::bench {

// Elements of a part (1 MiB of f32): the unit in which values travel.
inline constexpr size_t kPartElements = size_t{1} << 18;

// The values of one key in one generation (a generation is a repeat). The first element of each
// part holds a stamp instead: the number of the push. Restamping a value costs next to nothing, so
// every single push of a repeat differs from the one before in every part.
struct Pattern {
  uint64_t seed = 0;
  int key = 0;
  uint32_t generation = 0;

  // Element `i`, an integer in 0 .. 2^20-1.
  float At(size_t i) const;
};

void Fill(const Pattern& pattern, uint32_t stamp, float* values, size_t count);
void Stamp(uint32_t stamp, float* values, size_t count);

// Errors: DATA_LOSS names key, element, what was expected and what is there.
absl::Status Check(const Pattern& pattern, uint32_t stamp, const float* values, size_t count);
// The stamps only.
absl::Status CheckStamps(int key, uint32_t stamp, const float* values, size_t count);

// Gradients of a round: small integers, so that weights stay exact over millions of rounds. The
// worker of rank r pushes (r+1) times the gradient; with learning rate 1 the weights after
// `rounds` rounds are
//   weight(i) - rounds * gradient(i) * (1 + 2 + ... + workers).
struct RoundPattern {
  Pattern weights;  // its generation is 0
  int workers = 1;

  float Gradient(size_t i, int rank) const;
  float WeightAfter(size_t i, uint64_t rounds) const;
  // Beyond this the sums would leave the integers that f32 holds.
  uint64_t rounds_max() const;
};

// Errors as Check.
absl::Status CheckWeights(const RoundPattern& pattern, uint64_t rounds, const float* values,
                          size_t count);

}  // namespace kvstore::bench
