// Figures of arrays, by hand.
#include "common/kernels/figures.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <vector>

namespace kvstore {

TEST_CASE("figures leave out what is not finite, and say how much that was", "[kernels]") {
  const std::vector<float> x = {3, -4, 0, std::numeric_limits<float>::quiet_NaN(),
                                -std::numeric_limits<float>::infinity()};
  const Figures figures = FiguresOf(DType::kFloat32, x.data(), x.size());
  CHECK(figures.elements == 5);
  CHECK(figures.not_finite == 2);
  CHECK(figures.squares == 25);
  CHECK(figures.absmax == 4);
}

TEST_CASE("figures of every dtype are those of its numbers", "[kernels]") {
  const uint16_t half[] = {0x4000, 0xbc00};   // 2, -1
  const uint16_t brain[] = {0x4000, 0xbf80};  // 2, -1
  const double wide[] = {2, -1};
  const int8_t i8[] = {2, -1};
  const int32_t i32[] = {2, -1};
  const int64_t i64[] = {2, -1};
  for (const auto& [dtype, x] : {std::pair<DType, const void*>{DType::kFloat16, half},
                                 {DType::kBFloat16, brain},
                                 {DType::kFloat64, wide},
                                 {DType::kInt8, i8},
                                 {DType::kInt32, i32},
                                 {DType::kInt64, i64}}) {
    CAPTURE(DTypeName(dtype));
    const Figures figures = FiguresOf(dtype, x, 2);
    CHECK(figures.squares == 5);
    CHECK(figures.absmax == 2);
  }
  const uint8_t bytes[] = {255, 2, 0};
  CHECK(FiguresOf(DType::kUInt8, bytes, 3).absmax == 255);
  CHECK(FiguresOf(DType::kBool, bytes, 3).squares == 2);
  CHECK(FiguresOf(DType::kFloat32, nullptr, 0).elements == 0);
}

TEST_CASE("figures of parts add up to those of the whole", "[kernels]") {
  const float x[] = {1, -7, 2};
  Figures sum = FiguresOf(DType::kFloat32, x, 1);
  sum.Add(FiguresOf(DType::kFloat32, x + 1, 2));
  CHECK(sum.elements == 3);
  CHECK(sum.squares == 54);
  CHECK(sum.absmax == 7);
}

}  // namespace kvstore
