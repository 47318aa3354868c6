// The norms of row-sparse values: of which rows, in which order, and of which they cannot be.
#include "common/rows/row_norms.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <vector>

namespace kvstore {
namespace {

constexpr KeyId kKey = 17;

using Rows = std::map<int64_t, std::vector<float>>;

PartUpdater UpdaterOf(const std::string& name, const UpdaterParameters& parameters = {}) {
  PartUpdater updater;
  REQUIRE(updater.Set({name, parameters}).ok());
  return updater;
}

Rows RandomRows(std::mt19937_64& random, int64_t height, size_t width, size_t count) {
  std::uniform_real_distribution<float> number(-1, 1);
  Rows rows;
  while (rows.size() < count) {
    std::vector<float>& row = rows[static_cast<int64_t>(random() % static_cast<uint64_t>(height))];
    row.resize(width);
    for (float& x : row) x = number(random);
  }
  return rows;
}

// Those of `rows` that are in the stripe, as a table and as a sum.
struct Written {
  Written(int64_t height, size_t width) : table(height, width * 4), sum(DType::kFloat32, width) {}
  void Write(int64_t row, const std::vector<float>& numbers) {
    std::memcpy(table.Touch(row), numbers.data(), numbers.size() * 4);
  }
  void Fold(int64_t row, const std::vector<float>& numbers) {
    const auto* const bytes = reinterpret_cast<const uint8_t*>(numbers.data());
    sum.Fold(&row, 1, Payload(Slice{bytes, numbers.size() * 4, nullptr}));
  }

  RowTable table;
  RowSum sum;
};

// Eight sums side by side over all elements of a stripe, zeros included.
double SquaresOf(const Rows& rows, int64_t height, size_t width, int64_t stripes, int64_t stripe) {
  std::array<double, 8> lanes{};
  size_t i = 0;
  for (int64_t row = stripe; row < height; row += stripes) {
    const auto found = rows.find(row);
    for (size_t k = 0; k < width; ++k, ++i) {
      const double x = found == rows.end() ? 0 : found->second[k];
      lanes[i % 8] += x * x;
    }
  }
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
         ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

}  // namespace

TEST_CASE("a table of all stripes has the norms that the stripes have one after the other",
          "[rows][norms]") {
  const auto width = GENERATE(size_t{1}, 3, 8, 130, 2100);
  const int64_t stripes = GENERATE(1, 3, 61);
  constexpr int64_t kHeight = 500;
  CAPTURE(width, stripes);
  std::mt19937_64 random(width * 100 + static_cast<uint64_t>(stripes));
  const Rows value = RandomRows(random, kHeight, width, 200);
  const Rows gradient = RandomRows(random, kHeight, width, 90);
  const PartUpdater lars = UpdaterOf("lars");

  Written whole(kHeight, width);
  for (const auto& [row, numbers] : value) whole.Write(row, numbers);
  // In descending order: the sum has runs of one row.
  for (auto it = gradient.rbegin(); it != gradient.rend(); ++it) whole.Fold(it->first, it->second);
  NormSums expected, by_stripe;
  for (int64_t stripe = 0; stripe < stripes; ++stripe) {
    NormSums own;
    own.squares[0] = SquaresOf(value, kHeight, width, stripes, stripe);
    own.squares[1] = SquaresOf(gradient, kHeight, width, stripes, stripe);
    expected += own;
    Written part(kHeight / stripes + 1, width);
    for (const auto& [row, numbers] : value) {
      if (row % stripes == stripe) part.Write(row / stripes, numbers);
    }
    for (const auto& [row, numbers] : gradient) {
      if (row % stripes == stripe) part.Fold(row / stripes, numbers);
    }
    by_stripe += *MeasureRows(lars, 0, {kKey, DType::kFloat32, &part.table, &part.sum}, {});
  }
  CHECK(by_stripe == expected);
  const auto measured = MeasureRows(
      lars, 0,
      {kKey, DType::kFloat32, &whole.table, &whole.sum, nullptr, static_cast<uint64_t>(stripes)},
      {});
  REQUIRE(measured.ok());
  CHECK(*measured == expected);
  CHECK(*MeasureWholeRows(lars, "weight",
                          {kKey, DType::kFloat32, &whole.table, &whole.sum, nullptr,
                           static_cast<uint64_t>(stripes)}) == expected);
  CHECK(*MeasureWholeRows(lars, "layer.bias", {kKey, DType::kFloat32, &whole.table, &whole.sum}) ==
        NormSums());
}

TEST_CASE("rows of zeros change no norm, whether they exist or not", "[rows][norms]") {
  const auto name = GENERATE(as<std::string>(), "lars", "lamb", "lans");
  CAPTURE(name);
  const PartUpdater updater = UpdaterOf(name);
  constexpr int64_t kHeight = 3000;
  constexpr size_t kWidth = 5;
  std::mt19937_64 random(3);
  Written few(kHeight, kWidth), many(kHeight, kWidth);
  for (const auto& [row, numbers] : RandomRows(random, kHeight, kWidth, 40)) {
    few.Write(row, numbers);
    many.Write(row, numbers);
  }
  for (const auto& [row, numbers] : RandomRows(random, kHeight, kWidth, 40)) {
    few.Fold(row, numbers);
    many.Fold(row, numbers);
  }
  for (int64_t row = 0; row < kHeight; row += 2) many.table.Touch(row);
  const auto norms = MeasureWholeRows(updater, "", {kKey, DType::kFloat32, &few.table, &few.sum});
  REQUIRE(norms.ok());
  CHECK(norms->squares[0] > 0);
  CHECK(*MeasureWholeRows(updater, "", {kKey, DType::kFloat32, &many.table, &many.sum}) == *norms);
}

TEST_CASE("lars moves the rows of the sum by the norm of all rows", "[rows][norms]") {
  const PartUpdater lars = UpdaterOf("lars", {{"learning_rate", 1}, {"eta", 1}, {"epsilon", 0}});
  Written rows(100, 2);
  rows.Write(3, {3, 4});
  rows.Write(70, {12, 0});  // with row 3 a norm of 13
  rows.Fold(3, {0, 2});
  RowStatePtr state;
  const auto norms = MeasureWholeRows(lars, "", {kKey, DType::kFloat32, &rows.table, &rows.sum});
  REQUIRE(norms.ok());
  REQUIRE(
      UpdateRows(lars, kKey, DType::kFloat32, rows.table, rows.sum, &state, {}, {}, *norms).ok());
  std::array<float, 2> row{};
  std::memcpy(row.data(), rows.table.Find(3), sizeof row);
  CHECK(row == std::array<float, 2>{3, 4 - 13});  // a step as long as the weight
  std::memcpy(row.data(), rows.table.Find(70), sizeof row);
  CHECK(row == std::array<float, 2>{12, 0});
}

TEST_CASE("the norm is that of the masters, also of those whose value is zero", "[rows][norms]") {
  const PartUpdater lars = UpdaterOf("lars", {{"multi_precision", 1}});
  RowTable table(10, 2);
  RowSum sum(DType::kFloat16, 1);
  RowState state{lars.LayoutFor(DType::kFloat16), {}, 1};
  REQUIRE(state.layout.names == std::vector<std::string>{"master"});
  state.tensors.emplace_back(10, 4);
  const float tiny = 0x1p-30f;  // f16 has 0 there
  std::memcpy(state.tensors[0].Touch(4), &tiny, sizeof tiny);
  const auto norms = MeasureWholeRows(lars, "", {kKey, DType::kFloat16, &table, &sum, &state});
  REQUIRE(norms.ok());
  CHECK(norms->squares[0] == 0x1p-60);
}

TEST_CASE("rows that nobody wrote have no norm, unless they are zeros", "[rows][norms]") {
  const PartUpdater lars = UpdaterOf("lars");
  InitRuleConfig rule;
  rule.kind = GENERATE(InitRuleKind::kZeros, InitRuleKind::kConstant, InitRuleKind::kUniform,
                       InitRuleKind::kNormal);
  rule.b = 0.5;
  if (rule.kind == InitRuleKind::kConstant) rule.a = GENERATE(0.0, 0.25);
  CAPTURE(InitRuleString(rule));
  RowTable table(100, 8, RowRule{InitialValues(rule, kKey, DType::kFloat32), 2});
  RowSum sum(DType::kFloat32, 2);
  const auto norms = MeasureWholeRows(lars, "", {kKey, DType::kFloat32, &table, &sum});
  if (rule.kind == InitRuleKind::kZeros || (rule.kind == InitRuleKind::kConstant && rule.a == 0)) {
    REQUIRE(norms.ok());
    CHECK(*norms == NormSums());
  } else {
    CHECK(norms.status() == absl::InvalidArgumentError(
                                "optimizer 'lars': a key whose rows are zeros until they are "
                                "written expected, as its norm is that of all rows, got one by the "
                                "rule " +
                                InitRuleString(rule)));
    // A key that lars leaves alone.
    CHECK(MeasureWholeRows(lars, "bias", {kKey, DType::kFloat32, &table, &sum}).ok());
  }
}

TEST_CASE("what updates all rows refuses a table whose rows come to be by rule", "[rows][norms]") {
  const PartUpdater lamb = UpdaterOf("lamb");
  InitRuleConfig rule;
  rule.kind = InitRuleKind::kZeros;
  RowTable table(100, 8, RowRule{InitialValues(rule, kKey, DType::kFloat32), 2});
  RowSum sum(DType::kFloat32, 2);
  RowStatePtr state;
  CHECK(UpdateRows(lamb, kKey, DType::kFloat32, table, sum, &state) ==
        absl::InvalidArgumentError(
            "optimizer 'lamb', which updates all rows: a key whose rows were brought expected, got "
            "one whose rows come to be by rule"));
  CHECK(state == nullptr);
}

}  // namespace kvstore
