#include "bench/kvbench/pattern.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/hash.h"

namespace kvstore::bench {
namespace {

constexpr uint32_t kStep = 2654435761u;  // odd: neighbours differ

uint32_t Base(const Pattern& pattern) {
  return static_cast<uint32_t>(Mix64(pattern.seed ^ Mix64(static_cast<uint64_t>(pattern.key)) ^
                                     (uint64_t{pattern.generation} << 32)));
}

uint32_t StampIn(uint32_t stamp, DataType dtype) {
  return stamp & ((1u << std::min(23, ExactBits(dtype))) - 1);
}

uint32_t ElementAt(uint32_t base, size_t i, DataType dtype) {
  return (base + static_cast<uint32_t>(i) * kStep) >> (32 - std::min(20, ExactBits(dtype)));
}

bool IsStamp(size_t i, DataType dtype) { return i % PartElements(dtype) == 0; }

// Weights begin small where few integers are exact, to leave room for rounds.
int WeightBits(DataType dtype) { return std::clamp(ExactBits(dtype) - 4, 1, 20); }

// -3 .. 3; -1 .. 1 where few integers are exact.
int GradientAt(uint32_t base, size_t i, DataType dtype) {
  const uint32_t bound = WeightBits(dtype) < 20 ? 1 : 3;
  return static_cast<int>(((base ^ kStep) + static_cast<uint32_t>(i)) % (2 * bound + 1)) -
         static_cast<int>(bound);
}

int64_t RanksSummed(int workers) { return int64_t{workers} * (workers + 1) / 2; }

absl::Status Differs(int key, size_t element, size_t count, double expected, double got) {
  return absl::DataLossError(fmt::format("key {}: element {} of {}: {} expected, got {}", key,
                                         element, count, expected, got));
}

}  // namespace

double Pattern::At(size_t i, DataType dtype) const { return ElementAt(Base(*this), i, dtype); }

void Fill(const Pattern& pattern, uint32_t stamp, const Elements& values) {
  const uint32_t base = Base(pattern);
  for (size_t i = 0; i < values.count; ++i) values.Set(i, ElementAt(base, i, values.dtype));
  Stamp(stamp, values);
}

void Stamp(uint32_t stamp, const Elements& values) {
  for (size_t i = 0; i < values.count; i += PartElements(values.dtype)) {
    values.Set(i, StampIn(stamp, values.dtype));
  }
}

absl::Status Check(const Pattern& pattern, uint32_t stamp, const Elements& values) {
  const uint32_t base = Base(pattern);
  for (size_t i = 0; i < values.count; ++i) {
    const double expected =
        IsStamp(i, values.dtype) ? StampIn(stamp, values.dtype) : ElementAt(base, i, values.dtype);
    const double got = values.Get(i);
    if (got != expected) return Differs(pattern.key, i, values.count, expected, got);
  }
  return absl::OkStatus();
}

absl::Status CheckStamps(int key, uint32_t stamp, const Elements& values) {
  const double expected = StampIn(stamp, values.dtype);
  for (size_t i = 0; i < values.count; i += PartElements(values.dtype)) {
    const double got = values.Get(i);
    if (got != expected) return Differs(key, i, values.count, expected, got);
  }
  return absl::OkStatus();
}

namespace {

// That of all workers together is RanksSummed times this.
int64_t UnitGradient(const RoundPattern& pattern, uint32_t base, size_t i, uint64_t round) {
  if (pattern.optimizer == Optimizer::kAssign && IsStamp(i, pattern.dtype)) {
    const int64_t stamps =
        (int64_t{1} << std::min(20, ExactBits(pattern.dtype))) / RanksSummed(pattern.workers);
    return static_cast<int64_t>(round) % std::max<int64_t>(2, stamps);
  }
  return GradientAt(base, i, pattern.dtype);
}

double WeightAt(const RoundPattern& pattern, uint32_t base, size_t i, uint64_t rounds) {
  const int64_t first =
      ElementAt(base, i, pattern.dtype) & ((int64_t{1} << WeightBits(pattern.dtype)) - 1);
  if (rounds == 0) return static_cast<double>(first);
  const int64_t all = UnitGradient(pattern, base, i, rounds) * RanksSummed(pattern.workers);
  const auto n = static_cast<int64_t>(rounds);
  switch (pattern.optimizer) {
    case Optimizer::kSgd:
      return Wrapped(pattern.dtype, first - n * all);
    case Optimizer::kSum:
      return Wrapped(pattern.dtype, first + n * all);
    case Optimizer::kAssign:
      return Wrapped(pattern.dtype, all);
  }
  return 0;
}

absl::Status CheckEvery(size_t step, const RoundPattern& pattern, uint64_t rounds,
                        const Elements& weights) {
  const uint32_t base = Base(pattern.weights);
  for (size_t i = 0; i < weights.count; i += step) {
    const double expected = WeightAt(pattern, base, i, rounds);
    const double got = weights.Get(i);
    if (got != expected) return Differs(pattern.weights.key, i, weights.count, expected, got);
  }
  return absl::OkStatus();
}

}  // namespace

double RoundPattern::Gradient(size_t i, int rank, uint64_t round) const {
  return Wrapped(dtype, UnitGradient(*this, Base(weights), i, round) * (rank + 1));
}

void RoundPattern::Restamp(int rank, uint64_t round, const Elements& gradients) const {
  if (optimizer != Optimizer::kAssign) return;
  for (size_t i = 0; i < gradients.count; i += PartElements(dtype)) {
    gradients.Set(i, Gradient(i, rank, round));
  }
}

double RoundPattern::WeightAfter(size_t i, uint64_t rounds) const {
  return WeightAt(*this, Base(weights), i, rounds);
}

uint64_t RoundPattern::rounds_max() const {
  if (IsInteger(dtype) || optimizer == Optimizer::kAssign) return uint64_t{1} << 40;
  const uint64_t largest = uint64_t{1} << ExactBits(dtype);
  const uint64_t step = WeightBits(dtype) < 20 ? 1 : 3;
  return (largest - (uint64_t{1} << WeightBits(dtype))) /
         (step * static_cast<uint64_t>(RanksSummed(workers)));
}

absl::Status CheckWeights(const RoundPattern& pattern, uint64_t rounds, const Elements& weights) {
  return CheckEvery(1, pattern, rounds, weights);
}

absl::Status LookAtWeights(const RoundPattern& pattern, uint64_t rounds, const Elements& weights) {
  return CheckEvery(PartElements(pattern.dtype), pattern, rounds, weights);
}

absl::Status LookAtWeightsBetween(const RoundPattern& pattern, int rank, uint64_t own_rounds,
                                  uint64_t others_min, uint64_t others_max,
                                  const Elements& weights) {
  const uint32_t base = Base(pattern.weights);
  for (size_t i = 0; i < weights.count; i += PartElements(pattern.dtype)) {
    const int64_t unit = UnitGradient(pattern, base, i, 1);
    const double own = WeightAt(pattern, base, i, 0) +
                       static_cast<double>(unit * (rank + 1) * static_cast<int64_t>(own_rounds));
    const auto others = static_cast<double>(unit * (RanksSummed(pattern.workers) - (rank + 1)));
    const double one = own + others * static_cast<double>(others_min);
    const double two = own + others * static_cast<double>(others_max);
    const double got = weights.Get(i);
    if (got >= std::min(one, two) && got <= std::max(one, two)) continue;
    return absl::DataLossError(fmt::format("key {}: element {} of {}: {} to {} expected, got {}",
                                           pattern.weights.key, i, weights.count,
                                           std::min(one, two), std::max(one, two), got));
  }
  return absl::OkStatus();
}

}  // namespace kvstore::bench
