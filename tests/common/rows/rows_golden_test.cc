// Lazy updates of rows against oracles that are not ours: NumPy, operation by operation, and MXNet
// 1.9.1's row_sparse optimizers. Values and states, after every round.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "common/rows/row_norms.h"
#include "common/rows/row_updater.h"
#include "tests/common/kernels/numbers.h"
#include "tests/common/updater/golden_file.h"

namespace kvstore {
namespace {

using testing::FirstDifference;
using testing::FromBits;
using testing::GoldenCase;
using testing::ReadGoldenFile;

constexpr KeyId kKey = 17;

// What values of T are summed in.
template <typename T>
using Sum = std::conditional_t<sizeof(T) == 2, float, T>;

template <typename T>
std::vector<T> WholeOf(const RowTable& table) {
  std::vector<T> all(static_cast<size_t>(table.rows()) * table.row_bytes() / sizeof(T));
  table.CopyTo(reinterpret_cast<uint8_t*>(all.data()));
  return all;
}

template <typename T>
void Fill(RowTable* table, const std::vector<T>& values) {
  const auto* from = reinterpret_cast<const uint8_t*>(values.data());
  for (int64_t row = 0; row < table->rows(); ++row, from += table->row_bytes()) {
    std::memcpy(table->Touch(row), from, table->row_bytes());
  }
}

template <typename T>
RowSum SumOf(const GoldenCase& golden, uint64_t round) {
  const std::vector<int64_t>& rows = golden.rows.at(round);
  const auto numbers = FromBits<Sum<T>>(golden.sums.at(round));
  REQUIRE(numbers.size() == rows.size() * golden.width);
  RowSum sum(golden.dtype, golden.width);
  const std::string zeros(rows.size() * golden.width * sizeof(T), '\0');
  sum.Fold(rows.data(), rows.size(), Payload::CopyOf(zeros));
  if (!rows.empty()) {
    std::memcpy(sum.ToUseUp(0, rows.size(), nullptr), numbers.data(),
                numbers.size() * sizeof(Sum<T>));
  }
  return sum;
}

// A value, with its updater, that goes through the rounds of a case.
struct Run {
  explicit Run(const GoldenCase& golden)
      : table(static_cast<int64_t>(golden.height), golden.width * DTypeBytes(golden.dtype)) {
    REQUIRE(updater.Set({golden.optimizer, golden.parameters, {{kKey, golden.multipliers}}}).ok());
  }
  template <typename T>
  void Update(const GoldenCase& golden, uint64_t round) {
    RowSum sum = SumOf<T>(golden, round);
    const auto norms =
        MeasureWholeRows(updater, "", {kKey, golden.dtype, &table, &sum, state.get()});
    REQUIRE(norms.ok());
    REQUIRE(UpdateRows(updater, kKey, golden.dtype, table, sum, &state, {}, {}, *norms).ok());
  }
  // Null: the updater keeps no such tensor.
  RowTable* StateNamed(const std::string& name) {
    for (size_t i = 0; state != nullptr && i < state->tensors.size(); ++i) {
      if (state->layout.names[i] == name) return &state->tensors[i];
    }
    return nullptr;
  }

  PartUpdater updater;
  RowTable table;
  RowStatePtr state;
};

size_t StatesOf(const GoldenCase& golden, uint64_t round) {
  const auto states = golden.states.find(round);
  return states == golden.states.end() ? 0 : states->second.size();
}

// `by_mxnet`: it multiplies an ftrl weight by 0 where ours is 0: its may be -0.
template <typename T>
void CheckExact(const GoldenCase& golden, bool by_mxnet = false) {
  const bool multi_precision = golden.parameters.count("multi_precision") > 0 &&
                               golden.parameters.at("multi_precision") == 1;
  Run ours(golden);
  Fill(&ours.table, FromBits<T>(golden.values.at(0)));
  REQUIRE(golden.rows.size() == 7);
  for (const auto& [round, rows] : golden.rows) {
    CAPTURE(round);
    ours.Update<T>(golden, round);
    std::vector<T> value = WholeOf<T>(ours.table);
    const std::vector<T> expected = FromBits<T>(golden.values.at(round));
    if constexpr (std::is_same_v<T, float>) {
      for (size_t i = 0; by_mxnet && golden.optimizer == "ftrl" && i < value.size(); ++i) {
        if (value[i] == 0 && expected[i] == 0) value[i] = expected[i];
      }
    }
    REQUIRE(FirstDifference(value, expected) == -1);
    const size_t kept = ours.state == nullptr ? 0 : ours.state->tensors.size();
    REQUIRE(kept == StatesOf(golden, round) + (multi_precision ? 1 : 0));
    if (StatesOf(golden, round) == 0) continue;
    for (const auto& [name, bits] : golden.states.at(round)) {
      CAPTURE(name);
      const RowTable* const tensor = ours.StateNamed(name);
      REQUIRE(tensor != nullptr);
      if (ours.state->layout.dtype == DType::kFloat32) {
        REQUIRE(FirstDifference(WholeOf<float>(*tensor), FromBits<float>(bits)) == -1);
      } else {
        REQUIRE(FirstDifference(WholeOf<T>(*tensor), FromBits<T>(bits)) == -1);
      }
    }
  }
}

// Where MXNet's kernels for rows round otherwise than its dense ones, whose order is ours:
//   sgd without momentum: (1 - learning_rate * wd) * w - t, ours w - ((learning_rate * wd) * w + t)
//   adam with clipping: (1 - beta2) * (g * g), ours ((1 - beta2) * g) * g
bool RoundsOtherwise(const GoldenCase& golden) {
  const auto has = [&](const char* name) { return golden.parameters.count(name) > 0; };
  return (golden.optimizer == "sgd" && !has("momentum") && has("wd")) ||
         (golden.optimizer == "adam" && has("clip_gradient"));
}

// Each round from MXNet's value and state before it. With u = 2^-24 and s the step w' - w:
// sgd: of the two orders one rounds three numbers that are at most |w|, |w| and |w'|, the other
// three that are at most |w|, |s| and |w'|. adam: var is a sum of two terms that are not negative,
// each with at most three roundings in either order, the sum's included: 6u apart, relatively.
// Root, + epsilon and quotient make of this 3u + 2 * 3u of the step, the last subtraction 2u of w'.
// |s| <= |w| + |w'|, so that 12u (|w| + |w'|) and 7u var cover all, terms in u^2 included.
void CheckRoundByRound(const GoldenCase& golden) {
  constexpr double kUnit = 0x1p-24;
  Run ours(golden);
  for (const auto& [round, rows] : golden.rows) {
    CAPTURE(round);
    const auto before = FromBits<float>(golden.values.at(round - 1));
    Fill(&ours.table, before);
    if (round > 1 && StatesOf(golden, round - 1) > 0) {
      for (const auto& [name, bits] : golden.states.at(round - 1)) {
        Fill(ours.StateNamed(name), FromBits<float>(bits));
      }
    }
    ours.Update<float>(golden, round);
    const auto value = WholeOf<float>(ours.table);
    const auto expected = FromBits<float>(golden.values.at(round));
    for (size_t i = 0; i < value.size(); ++i) {
      const bool touched = std::count(rows.begin(), rows.end(), i / golden.width) > 0;
      const double scale = touched ? std::abs(before[i]) + std::abs(expected[i]) : 0;
      CAPTURE(i, value[i], expected[i]);
      REQUIRE(std::abs(double{value[i]} - expected[i]) <= 12 * kUnit * scale);
    }
    if (StatesOf(golden, round) == 0) continue;
    for (const auto& [name, bits] : golden.states.at(round)) {
      const auto kept = WholeOf<float>(*ours.StateNamed(name));
      const auto theirs = FromBits<float>(bits);
      for (size_t i = 0; i < kept.size(); ++i) {
        CAPTURE(name, i, kept[i], theirs[i]);
        const double bound = name == "var" ? 7 * kUnit * theirs[i] : 0;
        REQUIRE(std::abs(double{kept[i]} - theirs[i]) <= bound);
      }
    }
  }
}

}  // namespace

TEST_CASE("lazy updates give NumPy's bits, value and state", "[rows][golden]") {
  size_t cases = 0;
  for (const GoldenCase& golden : ReadGoldenFile("rows.txt")) {
    CAPTURE(golden.title);
    if (golden.dtype == DType::kFloat32) CheckExact<float>(golden);
    if (golden.dtype == DType::kFloat64) CheckExact<double>(golden);
    if (golden.dtype == DType::kFloat16) CheckExact<F16>(golden);
    if (golden.dtype == DType::kBFloat16) CheckExact<BF16>(golden);
    ++cases;
  }
  CHECK(cases == 190);
}

TEST_CASE("every updater of the list but assign, which is not lazy, has golden rows",
          "[rows][golden]") {
  const std::vector<GoldenCase> golden = ReadGoldenFile("rows.txt");
  for (const std::string& name : UpdaterNames()) {
    CAPTURE(name);
    CHECK(std::any_of(golden.begin(), golden.end(), [&](const GoldenCase& c) {
            return c.optimizer == name;
          }) == (name != "assign"));
  }
}

TEST_CASE("lazy updates are MXNet 1.9.1's in its dialect, value and state", "[rows][golden]") {
  size_t exact = 0, by_round = 0;
  for (const GoldenCase& golden : ReadGoldenFile("mxnet_1_9_1_rows.txt")) {
    CAPTURE(golden.title);
    if (RoundsOtherwise(golden)) {
      CheckRoundByRound(golden);
      ++by_round;
    } else {
      CheckExact<float>(golden, true);
      ++exact;
    }
  }
  CHECK(exact == 14);
  CHECK(by_round == 3);
}

}  // namespace kvstore
