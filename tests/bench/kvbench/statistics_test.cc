#include "bench/kvbench/statistics.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

namespace kvstore::bench {
namespace {

TEST_CASE("a summary has the middle and the extremes whatever the order", "[kvbench]") {
  const Summary odd = Summarize({5, 1, 4});
  CHECK(odd.median == 4);
  CHECK(odd.min == 1);
  CHECK(odd.max == 5);
  CHECK(Summarize({8, 1, 4, 2}).median == 3);
  CHECK(Summarize({7}).median == 7);
  CHECK(Summarize({}).median == 0);
}

TEST_CASE("a percentile is the smallest figure that so many do not exceed", "[kvbench]") {
  std::vector<double> figures;
  for (int i = 1; i <= 200; ++i) figures.push_back(i);
  std::shuffle(figures.begin(), figures.end(), std::mt19937(7));
  CHECK(Percentile(&figures, 0.5) == 100);
  CHECK(Percentile(&figures, 0.99) == 198);
  CHECK(Percentile(&figures, 1.0) == 200);
  CHECK(Percentile(&figures, 0.0) == 1);
  std::vector<double> none;
  CHECK(Percentile(&none, 0.5) == 0);
}

}  // namespace
}  // namespace kvstore::bench
