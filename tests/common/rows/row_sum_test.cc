// RowSum against plain arithmetic on a map of rows.
#include "common/rows/row_sum.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <random>
#include <set>

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

// A sum beside plain arithmetic.
template <typename T>
class Checked {
 public:
  explicit Checked(size_t width) : width_(width), sum_(DTypeOf<T>(), width) {}

  void Fold(const std::vector<int64_t>& rows, std::mt19937_64& random, size_t cuts) {
    std::uniform_real_distribution<T> number(-1, 1);
    std::vector<T> values;
    for (const int64_t row : rows) {
      std::vector<T> value(width_);
      for (T& x : value) x = std::ldexp(number(random), static_cast<int>(random() % 20));
      values.insert(values.end(), value.begin(), value.end());
      const auto [place, is_new] = model_.try_emplace(row, value);
      if (is_new) continue;
      for (size_t k = 0; k < width_; ++k) place->second[k] = place->second[k] + value[k];
    }
    sum_.Fold(rows.data(), rows.size(), Cut(values, random, rows.empty() ? 0 : cuts));
  }

  void Check() const {
    REQUIRE(sum_.rows().size() == model_.size());
    CHECK(sum_.row_sum_bytes() == width_ * sizeof(T));
    CHECK(sum_.bytes() >= model_.size() * width_ * sizeof(T));
    std::set<int64_t> seen;
    bool right = true;
    for (size_t i = 0; i < sum_.rows().size(); ++i) {
      const auto expected = model_.find(sum_.rows()[i]);
      right &= seen.insert(sum_.rows()[i]).second && expected != model_.end() &&
               std::memcmp(sum_.sums() + i * width_ * sizeof(T), expected->second.data(),
                           width_ * sizeof(T)) == 0;
    }
    CHECK(right);
  }
  const RowSum& sum() const { return sum_; }

 private:
  size_t width_;
  RowSum sum_;
  std::map<int64_t, std::vector<T>> model_;
};

size_t RunsIn(const std::vector<int64_t>& rows) {
  size_t runs = rows.empty() ? 0 : 1;
  for (size_t i = 1; i < rows.size(); ++i) runs += rows[i] < rows[i - 1] ? 1 : 0;
  return runs;
}

std::vector<int64_t> Consecutive(int64_t begin, int64_t end) {
  std::vector<int64_t> rows(static_cast<size_t>(end - begin));
  std::iota(rows.begin(), rows.end(), begin);
  return rows;
}

}  // namespace

TEMPLATE_TEST_CASE("a row's sum is the left fold of the contributions that have it", "[rows]",
                   float, double) {
  const size_t width = GENERATE(size_t{1}, 3, 64, 1000);
  const size_t cuts = GENERATE(size_t{0}, 1, 40, 2000);
  CAPTURE(width, cuts);
  std::mt19937_64 random(11);
  Checked<TestType> checked(width);
  for (int contribution = 0; contribution < 6; ++contribution) {
    const size_t count = contribution == 3 ? 0 : 1 + random() % 40;
    std::vector<int64_t> rows;  // in no order, some of them twice
    for (size_t i = 0; i < count; ++i) {
      rows.push_back(static_cast<int64_t>(random() % 50) * 1000000007);
    }
    checked.Fold(rows, random, cuts);
  }
  checked.Check();
}

TEST_CASE("contributions with ascending rows, of which many are common, are summed", "[rows]") {
  const auto seed = GENERATE(take(20, random(1, 1 << 30)));
  CAPTURE(seed);
  std::mt19937_64 random(static_cast<uint64_t>(seed));
  Checked<float> checked(1 + random() % 3);
  const auto height = static_cast<int64_t>(1 + random() % 3000);
  const int contributions = 1 + static_cast<int>(random() % 8);
  for (int contribution = 0; contribution < contributions; ++contribution) {
    // All rows, most, a few; from the beginning or from anywhere on; some of them twice.
    const uint64_t one_in = std::array<uint64_t, 4>{1, 2, 10, 200}[random() % 4];
    const auto begin = random() % 2 == 0 ? 0 : static_cast<int64_t>(random() % 3000) % height;
    std::vector<int64_t> rows;
    for (int64_t row = begin; row < height; ++row) {
      if (random() % one_in == 0) rows.push_back(row);
      if (random() % 500 == 0) rows.push_back(row);
    }
    checked.Fold(rows, random, random() % 5);
  }
  checked.Check();
}

TEST_CASE("fragments and contributions with the same rows make one run of rows", "[rows]") {
  std::mt19937_64 random(4);
  Checked<float> checked(2);
  for (int worker = 0; worker < 3; ++worker) {
    for (int64_t begin = 0; begin < 1000; begin += 100) {
      checked.Fold(Consecutive(begin, begin + 100), random, 1);
    }
  }
  CHECK(checked.sum().rows() == Consecutive(0, 1000));
  checked.Check();
}

TEST_CASE("rows in any order make few runs, since short ones are merged", "[rows]") {
  std::mt19937_64 random(5);
  Checked<float> checked(1);
  for (int64_t row = 1000; row > 0; --row) checked.Fold({row}, random, 0);
  checked.Check();
  // Each but the last is twice as long as the next: 1000 rows make log2(1000) + 2 at most.
  CHECK(RunsIn(checked.sum().rows()) <= 11);
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
    REQUIRE(std::set<int64_t>(sum.rows().begin(), sum.rows().end()) == std::set<int64_t>{3, 7});
    const auto rounded = [&](int64_t row) {
      const auto place = std::find(sum.rows().begin(), sum.rows().end(), row) - sum.rows().begin();
      Bytes bytes(kWidth * DTypeBytes(dtype));
      Narrow(dtype, bytes.data(), sum.sums() + static_cast<size_t>(place) * sum.row_sum_bytes(),
             kWidth);
      return bytes;
    };
    const Bytes seven = rounded(7), three = rounded(3);
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
