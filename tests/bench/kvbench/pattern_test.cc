#include "bench/kvbench/pattern.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace kvstore::bench {
namespace {

bool Mentions(const absl::Status& status, const std::string& words) {
  return std::string(status.message()).find(words) != std::string::npos;
}

TEST_CASE("a filled value passes its check, and a changed element anywhere fails it", "[kvbench]") {
  const size_t count = GENERATE(size_t{1}, size_t{7}, size_t{1021}, kPartElements + 3);
  CAPTURE(count);
  const Pattern pattern{42, 17, 3};
  std::vector<float> values(count);
  Fill(pattern, 9, values.data(), count);
  REQUIRE(Check(pattern, 9, values.data(), count).ok());

  for (const size_t i : {size_t{0}, count / 2, count - 1}) {
    CAPTURE(i);
    const float saved = values[i];
    values[i] += 1;
    const absl::Status status = Check(pattern, 9, values.data(), count);
    CHECK(absl::IsDataLoss(status));
    CHECK(Mentions(status, "key 17: element " + std::to_string(i) + " of"));
    values[i] = saved;
  }
}

TEST_CASE("every part carries the stamp of its push", "[kvbench]") {
  const size_t count = 2 * kPartElements + 5;
  std::vector<float> values(count);
  const Pattern pattern{1, 2, 1};
  Fill(pattern, 1, values.data(), count);
  Stamp(2, values.data(), count);
  CHECK(Check(pattern, 2, values.data(), count).ok());
  CHECK(CheckStamps(2, 2, values.data(), count).ok());

  values[2 * kPartElements] = 1;  // the last part is of the push before
  CHECK(Mentions(CheckStamps(2, 2, values.data(), count), "2 expected, got 1"));
  CHECK_FALSE(Check(pattern, 2, values.data(), count).ok());
}

TEST_CASE("keys, generations and seeds have different values", "[kvbench]") {
  std::vector<float> values(64);
  const Pattern pattern{5, 6, 7};
  Fill(pattern, 1, values.data(), values.size());
  for (const Pattern& other : {Pattern{4, 6, 7}, Pattern{5, 5, 7}, Pattern{5, 6, 8}}) {
    CHECK_FALSE(Check(other, 1, values.data(), values.size()).ok());
  }
}

TEST_CASE("weights in closed form are those of rounds added up one by one", "[kvbench]") {
  const int workers = GENERATE(1, 2, 5);
  const size_t count = 1000;
  const RoundPattern pattern{{3, 4, 0}, workers};
  std::vector<float> weights(count);
  for (size_t i = 0; i < count; ++i) weights[i] = pattern.WeightAfter(i, 0);
  for (uint64_t round = 1; round <= 20; ++round) {
    for (size_t i = 0; i < count; ++i) {
      for (int rank = 0; rank < workers; ++rank) weights[i] -= pattern.Gradient(i, rank);
    }
    CAPTURE(workers, round);
    REQUIRE(CheckWeights(pattern, round, weights.data(), count).ok());
    REQUIRE_FALSE(CheckWeights(pattern, round + 1, weights.data(), count).ok());
  }
}

TEST_CASE("weights stay exact up to the largest number of rounds allowed", "[kvbench]") {
  const RoundPattern pattern{{3, 4, 0}, GENERATE(1, 2, 16)};
  const uint64_t rounds = pattern.rounds_max();
  for (size_t i = 0; i < 1000; ++i) {
    float sum = 0;
    for (int rank = 0; rank < pattern.workers; ++rank) sum += pattern.Gradient(i, rank);
    // One round more or less makes exactly the difference that f32 arithmetic would make.
    REQUIRE(pattern.WeightAfter(i, rounds - 1) - sum == pattern.WeightAfter(i, rounds));
  }
}

}  // namespace
}  // namespace kvstore::bench
