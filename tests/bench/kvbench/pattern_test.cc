#include "bench/kvbench/pattern.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace kvstore::bench {
namespace {

bool Mentions(const absl::Status& status, const std::string& words) {
  return std::string(status.message()).find(words) != std::string::npos;
}

// Owns what Elements look at.
struct Values {
  Values(size_t count, DataType dtype)
      : bytes(count * DataTypeBytes(dtype)), elements{bytes.data(), count, dtype} {}
  std::vector<char> bytes;
  Elements elements;
};

DataType AnyDataType() {
  return GENERATE(DataType::kFloat32, DataType::kFloat64, DataType::kFloat16, DataType::kBFloat16,
                  DataType::kInt8, DataType::kUInt8, DataType::kInt32, DataType::kInt64);
}

TEST_CASE("a filled value passes its check, and a changed element anywhere fails it", "[kvbench]") {
  const DataType dtype = AnyDataType();
  const size_t count = GENERATE_COPY(size_t{1}, size_t{7}, size_t{1021}, PartElements(dtype) + 3);
  CAPTURE(count, DataTypeName(dtype));
  const Pattern pattern{42, 17, 3};
  const Values values(count, dtype);
  Fill(pattern, 9, values.elements);
  REQUIRE(Check(pattern, 9, values.elements).ok());

  for (const size_t i : {size_t{0}, count / 2, count - 1}) {
    CAPTURE(i);
    const double saved = values.elements.Get(i);
    values.elements.Set(i, saved == 0 ? 1 : saved - 1);
    const absl::Status status = Check(pattern, 9, values.elements);
    CHECK(absl::IsDataLoss(status));
    CHECK(Mentions(status, "key 17: element " + std::to_string(i) + " of"));
    values.elements.Set(i, saved);
  }
}

TEST_CASE("every part carries the stamp of its push", "[kvbench]") {
  const DataType dtype = AnyDataType();
  const Values values(2 * PartElements(dtype) + 5, dtype);
  const Pattern pattern{1, 2, 1};
  Fill(pattern, 1, values.elements);
  Stamp(2, values.elements);
  CHECK(Check(pattern, 2, values.elements).ok());
  CHECK(CheckStamps(2, 2, values.elements).ok());

  values.elements.Set(2 * PartElements(dtype), 1);  // the last part is of the push before
  CHECK(Mentions(CheckStamps(2, 2, values.elements), "2 expected, got 1"));
  CHECK_FALSE(Check(pattern, 2, values.elements).ok());
}

TEST_CASE("keys, generations and seeds have different values", "[kvbench]") {
  const Values values(64, AnyDataType());
  const Pattern pattern{5, 6, 7};
  Fill(pattern, 1, values.elements);
  for (const Pattern& other : {Pattern{4, 6, 7}, Pattern{5, 5, 7}, Pattern{5, 6, 8}}) {
    CHECK_FALSE(Check(other, 1, values.elements).ok());
  }
}

TEST_CASE("weights in closed form are those of rounds made one by one", "[kvbench]") {
  const DataType dtype = AnyDataType();
  const Optimizer optimizer = IsInteger(dtype)
                                  ? GENERATE(Optimizer::kSum, Optimizer::kAssign)
                                  : GENERATE(Optimizer::kSum, Optimizer::kSgd, Optimizer::kAssign);
  const int workers = GENERATE(1, 2, 5);
  const size_t count = 1000;
  const RoundPattern pattern{{3, 4, 0}, workers, optimizer, dtype};
  const Values weights(count, dtype);
  for (size_t i = 0; i < count; ++i) weights.elements.Set(i, pattern.WeightAfter(i, 0));
  for (uint64_t round = 1; round <= std::min<uint64_t>(20, pattern.rounds_max()); ++round) {
    for (size_t i = 0; i < count; ++i) {
      double sum = 0;
      for (int rank = 0; rank < workers; ++rank) sum += pattern.Gradient(i, rank, round);
      const double before = optimizer == Optimizer::kAssign ? 0 : weights.elements.Get(i);
      const double after = optimizer == Optimizer::kSgd ? before - sum : before + sum;
      weights.elements.Set(i, Wrapped(dtype, static_cast<int64_t>(after)));
    }
    CAPTURE(DataTypeName(dtype), OptimizerName(optimizer), workers, round);
    REQUIRE(CheckWeights(pattern, round, weights.elements).ok());
    REQUIRE_FALSE(CheckWeights(pattern, round + 1, weights.elements).ok());
  }
}

TEST_CASE("gradients of any round become those of another by their stamps", "[kvbench]") {
  const RoundPattern pattern{{3, 4, 0}, 2, Optimizer::kAssign, DataType::kFloat32};
  const Values gradients(PartElements(pattern.dtype) + 9, pattern.dtype);
  for (size_t i = 0; i < gradients.elements.count; ++i) {
    gradients.elements.Set(i, pattern.Gradient(i, 1, 1));
  }
  pattern.Restamp(1, 7, gradients.elements);
  for (size_t i = 0; i < gradients.elements.count; ++i) {
    REQUIRE(gradients.elements.Get(i) == pattern.Gradient(i, 1, 7));
  }
}

TEST_CASE("weights stay exact up to the largest number of rounds allowed", "[kvbench]") {
  const DataType dtype = GENERATE(DataType::kFloat32, DataType::kFloat16, DataType::kBFloat16);
  const RoundPattern pattern{{3, 4, 0}, GENERATE(1, 2, 16), Optimizer::kSgd, dtype};
  const uint64_t rounds = pattern.rounds_max();
  const double largest = static_cast<double>(uint64_t{1} << ExactBits(dtype));
  CAPTURE(DataTypeName(dtype), pattern.workers, rounds);
  REQUIRE(rounds >= 1);
  for (size_t i = 0; i < 1000; ++i) {
    CHECK(std::abs(pattern.WeightAfter(i, rounds)) <= largest);
  }
}

TEST_CASE("a value between what others may have pushed is possible, any other is not",
          "[kvbench]") {
  const RoundPattern pattern{{3, 4, 0}, 3, Optimizer::kSum, DataType::kFloat32};
  const int rank = 1;
  const Values weights(1, pattern.dtype);
  const double unit = pattern.Gradient(0, 0, 1);
  REQUIRE(unit != 0);  // otherwise choose another seed
  const double own = pattern.WeightAfter(0, 0) + unit * 2 * 10;
  const auto look = [&](double value) {
    weights.elements.Set(0, value);
    return LookAtWeightsBetween(pattern, rank, 10, 5, 12, weights.elements);
  };
  CHECK(look(own + unit * (1 + 3) * 5).ok());
  CHECK(look(own + unit * (1 * 7 + 3 * 12)).ok());
  CHECK(look(own + unit * (1 + 3) * 12).ok());
  CHECK(Mentions(look(own + unit * ((1 + 3) * 12 + 1)), "key 4: element 0 of 1"));
  CHECK(absl::IsDataLoss(look(own + unit * ((1 + 3) * 5 - 1))));
}

}  // namespace
}  // namespace kvstore::bench
