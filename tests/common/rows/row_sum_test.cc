// RowSum against plain arithmetic on a map of rows.
#include "common/rows/row_sum.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "common/kernels/kernels.h"
#include "tests/support/dtype_oracle.h"

namespace kvstore {
namespace {

template <typename T>
constexpr DType DTypeOf() {
  return sizeof(T) == 4 ? DType::kFloat32 : DType::kFloat64;
}

// The bytes of `values`, cut at `cuts` random places into slices of their own, each misaligned.
template <typename T>
Payload Cut(const std::vector<T>& values, std::mt19937_64& random, size_t cuts) {
  const size_t bytes = values.size() * sizeof(T);
  std::vector<size_t> borders = {0, bytes};
  for (size_t i = 0; i < cuts; ++i) borders.push_back(random() % (bytes + 1));
  std::sort(borders.begin(), borders.end());
  Payload payload;
  for (size_t i = 0; i + 1 < borders.size(); ++i) {
    const size_t size = borders[i + 1] - borders[i];
    if (size == 0) continue;
    const auto memory = std::make_shared<std::vector<uint8_t>>(size + 1);
    std::memcpy(memory->data() + 1, reinterpret_cast<const uint8_t*>(values.data()) + borders[i],
                size);
    payload.Append(Slice{memory->data() + 1, size, memory});
  }
  return payload;
}

}  // namespace

TEMPLATE_TEST_CASE("a row's sum is the left fold of the contributions that have it", "[rows]",
                   float, double) {
  using T = TestType;
  const size_t width = GENERATE(size_t{1}, 3, 64, 1000);
  const size_t cuts = GENERATE(size_t{0}, 1, 40, 2000);
  CAPTURE(width, cuts);
  std::mt19937_64 random(11);
  std::uniform_real_distribution<T> number(-1, 1);
  RowSum sum(DTypeOf<T>(), width);
  std::vector<int64_t> order;
  std::map<int64_t, std::vector<T>> model;
  for (int contribution = 0; contribution < 6; ++contribution) {
    const size_t count = contribution == 3 ? 0 : 1 + random() % 40;
    std::vector<int64_t> rows;
    std::vector<T> values;
    for (size_t i = 0; i < count; ++i) {
      const auto row = static_cast<int64_t>(random() % 50) * 1000000007;  // some of them twice
      rows.push_back(row);
      std::vector<T> value(width);
      for (T& x : value) x = std::ldexp(number(random), static_cast<int>(random() % 20));
      values.insert(values.end(), value.begin(), value.end());
      const auto [place, is_new] = model.try_emplace(row, value);
      if (is_new) {
        order.push_back(row);
      } else {
        for (size_t k = 0; k < width; ++k) place->second[k] = place->second[k] + value[k];
      }
    }
    sum.Fold(rows.data(), count, Cut(values, random, count == 0 ? 0 : cuts));
  }
  REQUIRE(sum.rows() == order);
  CHECK(sum.row_sum_bytes() == width * sizeof(T));
  CHECK(sum.bytes() >= order.size() * width * sizeof(T));
  for (size_t i = 0; i < order.size(); ++i) {
    CHECK(std::memcmp(sum.sums() + i * width * sizeof(T), model[order[i]].data(),
                      width * sizeof(T)) == 0);
  }
}

TEST_CASE("a lone -0.0 stays -0.0", "[rows]") {
  const float minus_zero = -0.0f;
  const int64_t row = 3;
  RowSum sum(DType::kFloat32, 1);
  sum.Fold(&row, 1, Payload(Slice{reinterpret_cast<const uint8_t*>(&minus_zero), 4, nullptr}));
  CHECK(std::memcmp(sum.sums(), &minus_zero, 4) == 0);
}

TEST_CASE("rows of every dtype are summed in the accumulator's, and rounded once", "[rows]") {
  using testing::Bytes;
  constexpr size_t kWidth = 37;
  std::mt19937_64 random(3);
  for (const DType dtype :
       {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16, DType::kUInt8,
        DType::kInt8, DType::kInt32, DType::kInt64, DType::kBool}) {
    CAPTURE(DTypeName(dtype));
    const testing::DTypeOracle oracle(dtype);
    RowSum sum(dtype, kWidth);
    std::vector<Bytes> rows;
    for (const int64_t row : {7, 7, 3, 7, 7}) {
      rows.push_back(oracle.Random(random, kWidth));
      sum.Fold(&row, 1, Payload(Slice{rows.back().data(), rows.back().size(), nullptr}));
    }
    REQUIRE(sum.rows() == std::vector<int64_t>{7, 3});
    Bytes seven(kWidth * DTypeBytes(dtype)), three = seven;
    Narrow(dtype, seven.data(), sum.sums(), kWidth);
    Narrow(dtype, three.data(), sum.sums() + sum.row_sum_bytes(), kWidth);
    CHECK(three == oracle.Contribution({rows[2]}));
    rows.erase(rows.begin() + 2);
    CHECK(seven == oracle.Contribution(rows));
  }
}

TEST_CASE("a sum of nothing has no rows", "[rows]") {
  RowSum sum(DType::kFloat64, 5);
  sum.Fold(nullptr, 0, Payload());
  CHECK(sum.rows().empty());
}

}  // namespace kvstore
