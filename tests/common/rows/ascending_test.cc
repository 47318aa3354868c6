// Questions about lists of rows against the library's own answers, with one odd row at every place.
#include "common/rows/ascending.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace kvstore {
namespace {

// `count` rows from `first` on, without a gap.
std::vector<int64_t> RowsFrom(int64_t first, size_t count) {
  std::vector<int64_t> rows(count);
  std::iota(rows.begin(), rows.end(), first);
  return rows;
}

}  // namespace

TEST_CASE("one row that does not ascend, is not the next, or is too large is found at any place",
          "[rows]") {
  constexpr int64_t kFirst = (int64_t{1} << 40) - 100;
  for (const size_t count : {1, 2, 3, 31, 64}) {
    const std::vector<int64_t> rows = RowsFrom(kFirst, count);
    const auto end = kFirst + static_cast<int64_t>(count);
    CHECK(Ascend(rows.data(), count));
    CHECK(Consecutive(rows.data(), count));
    CHECK(AllBelow(rows.data(), count, end));
    CHECK(!AllBelow(rows.data(), count, end - 1));
    CHECK(!AllBelow(rows.data(), count, 0));
    for (size_t at = 0; at < count; ++at) {
      CAPTURE(count, at);
      std::vector<int64_t> odd = rows;
      odd[at] = at == 0 ? end : rows[at - 1];
      CHECK(Ascend(odd.data(), count) == (count == 1));
      CHECK(Consecutive(odd.data(), count) == (count == 1));
      for (const int64_t outside : {end, int64_t{-1}, std::numeric_limits<int64_t>::min(),
                                    std::numeric_limits<int64_t>::max()}) {
        odd[at] = outside;
        CHECK(!AllBelow(odd.data(), count, end));
      }
    }
  }
  CHECK(Ascend(nullptr, 0));
  CHECK(AllBelow(nullptr, 0, 0));
}

TEST_CASE("rows ascend as the library says", "[rows]") {
  std::mt19937_64 random(19);
  for (int i = 0; i < 2000; ++i) {
    std::vector<int64_t> rows(1 + random() % 8);
    for (int64_t& row : rows) row = static_cast<int64_t>(random() % 12);
    if (i % 2 == 0) std::sort(rows.begin(), rows.end());
    const bool ascend =
        std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end();
    CHECK(Ascend(rows.data(), rows.size()) == ascend);
  }
}

}  // namespace kvstore
