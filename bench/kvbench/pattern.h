// Values in closed form: every element that kvbench expects anywhere can be computed from a seed,
// so a result can be checked in whole without a second copy of it. All are integers that their
// dtype holds exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "bench/kvbench/cases.h"
#include "bench/kvbench/element.h"

namespace kvstore::bench {

// The values of one key in one generation (a generation is a repeat). The first element of each
// part holds a stamp instead: the number of the push. Restamping a value costs next to nothing, so
// every single push of a repeat differs from the one before in every part (with few bits to an
// element: from most of those before).
struct Pattern {
  uint64_t seed = 0;
  int key = 0;
  uint32_t generation = 0;

  // Element `i`, an integer in 0 .. 2^20-1, or as far as the dtype is exact.
  double At(size_t i, DataType dtype) const;
};

void Fill(const Pattern& pattern, uint32_t stamp, const Elements& values);
void Stamp(uint32_t stamp, const Elements& values);

// Errors: DATA_LOSS names key, element, what was expected and what is there.
absl::Status Check(const Pattern& pattern, uint32_t stamp, const Elements& values);
// The stamps only.
absl::Status CheckStamps(int key, uint32_t stamp, const Elements& values);

// A key in rounds. Gradients are small integers, so that weights stay exact over many rounds. The
// worker of rank r pushes (r+1) times the gradient. With G = gradient(i) * (1 + 2 + ... + workers)
// the weights after n rounds are
//   sgd, with learning rate 1   weight(i) - n * G
//   sum                         weight(i) + n * G
//   assign                      G; there the first element of each part has n for its gradient
struct RoundPattern {
  Pattern weights;  // its generation is 0
  int workers = 1;
  Optimizer optimizer = Optimizer::kSgd;
  DataType dtype = DataType::kFloat32;

  // What the worker of rank `rank` pushes in round `round` (1, 2, ...).
  double Gradient(size_t i, int rank, uint64_t round) const;
  // Turns the gradients of any round into those of `round`.
  void Restamp(int rank, uint64_t round, const Elements& gradients) const;
  double WeightAfter(size_t i, uint64_t rounds) const;
  // Beyond this the weights would leave the integers that the dtype holds.
  uint64_t rounds_max() const;
};

// Errors as Check.
absl::Status CheckWeights(const RoundPattern& pattern, uint64_t rounds, const Elements& weights);
// One element of each part.
absl::Status LookAtWeights(const RoundPattern& pattern, uint64_t rounds, const Elements& weights);
// Likewise of a worker that made `own_rounds` pushes while each of the others made `others_min` to
// `others_max`. Only kSum.
absl::Status LookAtWeightsBetween(const RoundPattern& pattern, int rank, uint64_t own_rounds,
                                  uint64_t others_min, uint64_t others_max,
                                  const Elements& weights);

}  // namespace kvstore::bench
