#include "bench/kvbench/pattern.h"

#include <fmt/format.h>

#include "common/base/hash.h"

namespace kvstore::bench {
namespace {

constexpr uint32_t kStampMask = (1u << 23) - 1;
constexpr uint32_t kStep = 2654435761u;  // odd: neighbours differ

uint32_t Base(const Pattern& pattern) {
  return static_cast<uint32_t>(Mix64(pattern.seed ^ Mix64(static_cast<uint64_t>(pattern.key)) ^
                                     (uint64_t{pattern.generation} << 32)));
}

float StampValue(uint32_t stamp) { return static_cast<float>(stamp & kStampMask); }

float ElementAt(uint32_t base, size_t i) {
  return static_cast<float>((base + static_cast<uint32_t>(i) * kStep) >> 12);
}

// -3 .. 3.
int GradientAt(uint32_t base, size_t i) {
  return static_cast<int>(((base ^ kStep) + static_cast<uint32_t>(i)) % 7) - 3;
}

int RanksSummed(int workers) { return workers * (workers + 1) / 2; }

absl::Status Differs(int key, size_t element, size_t count, float expected, float got) {
  return absl::DataLossError(fmt::format("key {}: element {} of {}: {} expected, got {}", key,
                                         element, count, expected, got));
}

}  // namespace

float Pattern::At(size_t i) const { return ElementAt(Base(*this), i); }

void Fill(const Pattern& pattern, uint32_t stamp, float* values, size_t count) {
  const uint32_t base = Base(pattern);
  for (size_t i = 0; i < count; ++i) values[i] = ElementAt(base, i);
  Stamp(stamp, values, count);
}

void Stamp(uint32_t stamp, float* values, size_t count) {
  for (size_t i = 0; i < count; i += kPartElements) values[i] = StampValue(stamp);
}

absl::Status Check(const Pattern& pattern, uint32_t stamp, const float* values, size_t count) {
  const uint32_t base = Base(pattern);
  for (size_t i = 0; i < count; ++i) {
    const float expected = i % kPartElements == 0 ? StampValue(stamp) : ElementAt(base, i);
    if (values[i] != expected) return Differs(pattern.key, i, count, expected, values[i]);
  }
  return absl::OkStatus();
}

absl::Status CheckStamps(int key, uint32_t stamp, const float* values, size_t count) {
  for (size_t i = 0; i < count; i += kPartElements) {
    if (values[i] != StampValue(stamp)) {
      return Differs(key, i, count, StampValue(stamp), values[i]);
    }
  }
  return absl::OkStatus();
}

float RoundPattern::Gradient(size_t i, int rank) const {
  return static_cast<float>(GradientAt(Base(weights), i) * (rank + 1));
}

float RoundPattern::WeightAfter(size_t i, uint64_t rounds) const {
  const uint32_t base = Base(weights);
  const auto moved = static_cast<int64_t>(rounds) * GradientAt(base, i) * RanksSummed(workers);
  return static_cast<float>(static_cast<int64_t>(ElementAt(base, i)) - moved);
}

uint64_t RoundPattern::rounds_max() const {
  constexpr uint64_t kLargestExact = 1u << 24;
  return (kLargestExact - (1u << 20)) / (3 * static_cast<uint64_t>(RanksSummed(workers)));
}

absl::Status CheckWeights(const RoundPattern& pattern, uint64_t rounds, const float* values,
                          size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const float expected = pattern.WeightAfter(i, rounds);
    if (values[i] != expected) return Differs(pattern.weights.key, i, count, expected, values[i]);
  }
  return absl::OkStatus();
}

}  // namespace kvstore::bench
