#include "common/kernels/square_sum.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/common/kernels/harness.h"
#include "tests/common/kernels/numbers.h"

namespace kvstore {
namespace {

using testing::DTypeOf;
using testing::kSeed;
using testing::Placed;

// As the header says it.
template <typename T>
double Defined(const std::vector<T>& x) {
  double lanes[8] = {};
  for (size_t i = 0; i < x.size(); ++i) {
    const auto number = static_cast<double>(x[i]);
    lanes[i % 8] += number * number;
  }
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
         ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

}  // namespace

TEMPLATE_TEST_CASE("a sum of squares has the bits of its definition, in whatever pieces",
                   "[kernels]", float, double) {
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  for (const size_t elements : {0u, 1u, 7u, 8u, 9u, 16u, 1009u, 100003u}) {
    std::vector<TestType> x(elements);
    for (TestType& number : x) {
      number = static_cast<TestType>(std::normal_distribution<double>(0, 3)(random));
    }
    const double expected = Defined(x);
    for (const size_t offset : {0u, 1u, 7u}) {
      CAPTURE(elements, offset);
      Placed<TestType> placed(x, offset);
      SquareSum whole;
      whole.Add(DTypeOf<TestType>(), placed.data(), elements);
      REQUIRE(whole.Total() == expected);
      SquareSum pieces;
      for (size_t at = 0; at < elements;) {
        const size_t some = std::min<size_t>(elements - at, random() % 200);
        pieces.Add(DTypeOf<TestType>(),
                   static_cast<const uint8_t*>(placed.data()) + at * sizeof(TestType), some);
        at += some;
      }
      REQUIRE(pieces.Total() == expected);
    }
  }
}

}  // namespace kvstore
