#include "bench/kvbench/row_sets.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

namespace kvstore::bench {
namespace {

TEST_CASE("drawn rows are different, ascending, within the table, and the same again",
          "[kvbench]") {
  const int64_t height = GENERATE(2, 61, 1000, 100003);
  const auto count = static_cast<size_t>(std::max<int64_t>(1, height / 2));
  CAPTURE(height);
  const ZipfRows zipf(height);
  const std::vector<int64_t> rows = zipf.Draw(count, 7);
  REQUIRE(rows.size() == count);
  CHECK(rows.front() >= 0);
  CHECK(rows.back() < height);
  CHECK(std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end());
  CHECK(zipf.Draw(count, 7) == rows);
}

TEST_CASE("few rows are drawn often", "[kvbench]") {
  const ZipfRows zipf(100000);
  std::map<int64_t, int> drawn;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (const int64_t row : zipf.Draw(100, seed * 1000003)) ++drawn[row];
  }
  const auto often =
      std::count_if(drawn.begin(), drawn.end(), [](const auto& row) { return row.second > 50; });
  CHECK(often > 5);
  CHECK(drawn.size() > 1000);
}

TEST_CASE("weights in closed form are those of rounds made one by one, for every worker",
          "[kvbench]") {
  const int workers = GENERATE(1, 3);
  const size_t rows = 50;
  std::vector<RowSets> sets;
  for (int rank = 0; rank < workers; ++rank) sets.emplace_back(5, 200, rows, workers, rank);
  std::map<int64_t, double> weights;  // of column 2
  for (uint64_t round = 1; round <= 3 * RowSets::kSets + 1; ++round) {
    const size_t set = RowSets::SetOf(round);
    for (int rank = 0; rank < workers; ++rank) {
      for (const int64_t row : sets[static_cast<size_t>(rank)].rows(set)) {
        weights[row] -= (rank + 1) * sets[0].Gradient(row, 2);
      }
    }
    for (const RowSets& each : sets) {
      for (size_t i = 0; i < rows; ++i) {
        CAPTURE(workers, round, i);
        REQUIRE(each.WeightAfter(round, set, i, 2) == weights[each.rows(set)[i]]);
      }
    }
  }
}

}  // namespace
}  // namespace kvstore::bench
