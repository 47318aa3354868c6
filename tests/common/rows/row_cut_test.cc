#include "common/rows/row_cut.h"

#include <catch2/catch.hpp>

namespace kvstore {

TEST_CASE("every row is in one stripe, and the stripes have all rows between them", "[rows]") {
  const int64_t rows = GENERATE(int64_t{1}, 60, 61, 62, 122, 1009, 262145);
  CAPTURE(rows);
  const RowShape cut = RowShapeOf({rows, 8192}, DType::kFloat64);
  CHECK(cut.rows == rows);
  CHECK(cut.row_elements == 8192);
  CHECK(cut.row_bytes == 65536);
  std::vector<int64_t> in_stripe(cut.stripes);
  bool within = true;
  for (int64_t row = 0; row < rows; ++row) {
    ++in_stripe[cut.StripeOf(row)];
    within &= cut.StripeOf(row) == row % cut.stripes && cut.RowInStripe(row) == row / cut.stripes;
    within &= cut.RowInStripe(row) < cut.RowsIn(cut.StripeOf(row));
  }
  CHECK(within);
  for (PartIndex stripe = 0; stripe < cut.stripes; ++stripe) {
    CHECK(cut.RowsIn(stripe) == in_stripe[stripe]);
  }
}

TEST_CASE("a value of at most 1 MiB is one stripe, a larger one is 61", "[rows]") {
  CHECK(RowShapeOf({1 << 18}, DType::kFloat32).stripes == 1);
  CHECK(RowShapeOf({(1 << 18) + 1}, DType::kFloat32).stripes == kStripes);
  CHECK(RowShapeOf({2, 1 << 17}, DType::kFloat32).stripes == 1);
  CHECK(RowShapeOf({1, 1 << 19}, DType::kFloat32).stripes == kStripes);  // one row of 2 MiB
  CHECK(RowShapeOf({1 << 10, 16, 16}, DType::kInt8).row_bytes == 256);
}

TEST_CASE("tables of the greatest height are cut without overflow", "[rows]") {
  const RowShape tall = RowShapeOf({int64_t{1} << 40}, DType::kFloat64);
  CHECK(tall.stripes == kStripes);
  CHECK(tall.StripeOf(tall.rows - 1) == ((int64_t{1} << 40) - 1) % 61);
  CHECK(tall.RowInStripe(tall.rows - 1) == ((int64_t{1} << 40) - 1) / 61);
}

}  // namespace kvstore
