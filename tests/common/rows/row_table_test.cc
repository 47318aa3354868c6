#include "common/rows/row_table.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <new>
#include <numeric>
#include <random>

namespace {
bool no_memory_for_arrays = false;
}

// Pages are arrays of bytes.
void* operator new[](size_t size) {
  if (no_memory_for_arrays) throw std::bad_alloc();
  return ::operator new(size);
}
void operator delete[](void* memory) noexcept { ::operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { ::operator delete(memory); }

namespace kvstore {

TEST_CASE("rows are zero until they are written, and keep what was written", "[rows]") {
  const int64_t rows = GENERATE(int64_t{1}, 7, 64, 1009, 300007, int64_t{1} << 40);
  const size_t row_bytes = GENERATE(size_t{1}, 2, 12, 256, 4096, 4097, 20000);
  CAPTURE(rows, row_bytes);
  RowTable table(rows, row_bytes);
  CHECK(table.bytes() == 0);
  std::map<int64_t, std::vector<uint8_t>> model;
  std::mt19937_64 random(7);
  const std::vector<uint8_t> zeros(row_bytes);
  for (int i = 0; i < 200; ++i) {
    // Near both ends too.
    const auto near = static_cast<int64_t>(random() % 8);
    auto row = static_cast<int64_t>(random() % static_cast<uint64_t>(rows));
    if (random() % 4 == 0) row = std::min(near, rows - 1);
    if (random() % 4 == 0) row = std::max(rows - 1 - near, int64_t{0});
    const auto written = model.find(row);
    const std::vector<uint8_t>& expected = written == model.end() ? zeros : written->second;
    if (random() % 2 == 0) {
      std::vector<uint8_t> next = expected;
      next[0] = static_cast<uint8_t>(random());
      next[row_bytes - 1] = static_cast<uint8_t>(random());
      uint8_t* const bytes = table.Touch(row);
      CHECK(std::memcmp(bytes, expected.data(), row_bytes) == 0);
      std::memcpy(bytes, next.data(), row_bytes);
      model[row] = std::move(next);
    } else {
      const uint8_t* const bytes = table.Find(row);
      CHECK((bytes != nullptr || written == model.end()));
      if (bytes != nullptr) CHECK(std::memcmp(bytes, expected.data(), row_bytes) == 0);
    }
  }
  std::vector<int64_t> not_zero;
  for (const auto& [row, bytes] : model) {
    if (bytes != zeros) not_zero.push_back(row);
  }
  CHECK(table.KeptRows() == not_zero);
  const int64_t begin = rows / 3, end = rows - rows / 4;
  std::vector<int64_t> between;
  for (const int64_t row : not_zero) {
    if (row >= begin && row < end) between.push_back(row);
  }
  CHECK(table.KeptRows(begin, end, SIZE_MAX) == between);
  between.resize(between.size() / 2);
  CHECK(table.KeptRows(begin, end, between.size()) == between);
  if (rows > 1009) return;  // too many to look at
  std::vector<uint8_t> all(static_cast<size_t>(rows) * row_bytes, 99);
  table.CopyTo(all.data());
  for (int64_t row = 0; row < rows; ++row) {
    const auto written = model.find(row);
    const std::vector<uint8_t>& expected = written == model.end() ? zeros : written->second;
    REQUIRE(std::memcmp(&all[static_cast<size_t>(row) * row_bytes], expected.data(), row_bytes) ==
            0);
  }
}

TEST_CASE("rows are gathered in any order, those that were never touched as zeros", "[rows]") {
  const size_t row_bytes = GENERATE(size_t{1}, 2, 3, 4, 8, 100, 1024, 5000);
  CAPTURE(row_bytes);
  constexpr int64_t kRows = 3001;
  RowTable table(kRows, row_bytes);
  std::mt19937_64 random(3);
  for (int i = 0; i < 500; ++i) {
    uint8_t* const row = table.Touch(static_cast<int64_t>(random() % kRows));
    row[0] = row[row_bytes - 1] = static_cast<uint8_t>(random());
  }
  std::vector<int64_t> all(kRows);
  std::iota(all.begin(), all.end(), int64_t{0});
  std::vector<int64_t> some;
  for (int i = 0; i < 1000; ++i) some.push_back(static_cast<int64_t>(random() % kRows));
  for (const std::vector<int64_t>& rows : {all, some, std::vector<int64_t>{kRows - 1}}) {
    std::vector<uint8_t> gathered(rows.size() * row_bytes, 99);
    table.Gather(rows.data(), rows.size(), gathered.data());
    bool right = true;
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::vector<uint8_t> zeros(row_bytes);
      const uint8_t* const row = table.Find(rows[i]);
      right &= std::memcmp(&gathered[i * row_bytes], row == nullptr ? zeros.data() : row,
                           row_bytes) == 0;
    }
    CHECK(right);
  }
}

TEST_CASE("rows on one page lie around each other", "[rows]") {
  const size_t row_bytes = GENERATE(size_t{1}, 4, 100, 1024, 5000);
  CAPTURE(row_bytes);
  RowTable table(3001, row_bytes);
  std::mt19937_64 random(4);
  std::vector<int64_t> rows;
  for (int i = 0; i < 3000; ++i) {
    const bool next = !rows.empty() && rows.back() < 3000 && random() % 8 != 0;
    rows.push_back(next ? rows.back() + 1 : static_cast<int64_t>(random() % 3001));
  }
  size_t pages = 0;
  for (size_t i = 0; i < rows.size(); ++pages) {
    const auto on_page = table.OnPageOfFirst(&rows[i], rows.size() - i);
    REQUIRE(on_page.count >= 1);
    bool consecutive = true;
    for (size_t k = 0; k < on_page.count; ++k) {
      REQUIRE(rows[i + k] / table.rows_per_page() == rows[i] / table.rows_per_page());
      const auto offset = (rows[i + k] - rows[i]) * static_cast<std::ptrdiff_t>(row_bytes);
      REQUIRE(table.Touch(rows[i + k]) == table.Touch(rows[i]) + offset);
      consecutive &= rows[i + k] == rows[i] + static_cast<int64_t>(k);
    }
    CHECK(on_page.consecutive == consecutive);
    i += on_page.count;
    if (i < rows.size()) {
      CHECK(rows[i] / table.rows_per_page() != rows[i - 1] / table.rows_per_page());
    }
  }
  CHECK(pages > 1);
}

TEST_CASE("a table that is fully written takes its bytes", "[rows]") {
  RowTable table(1 << 16, 4);
  for (int64_t row = 0; row < table.rows(); ++row) table.Touch(row)[0] = 1;
  CHECK(table.bytes() == 4 << 16);
  table.Zero();
  CHECK(table.KeptRows().empty());
  CHECK(table.bytes() == 4 << 16);
  table.Touch(77)[3] = 1;
  table.DropZeroPages();
  CHECK(table.KeptRows() == std::vector<int64_t>{77});
  CHECK(table.bytes() == 1024);
}

TEST_CASE("a table takes memory for the rows that are used, whatever its height", "[rows]") {
  RowTable table(int64_t{1} << 40, 256);
  for (int64_t i = 0; i < 1000; ++i) table.Touch(i * 1000003);
  CHECK(table.bytes() == 1000 * 1024);
  RowTable low(3, 256);  // no page is larger than the table needs
  low.Touch(1);
  CHECK(low.bytes() == 4 * 256);
}

TEST_CASE("rows stay where they are while others are touched", "[rows]") {
  RowTable table(100000, 8);
  uint8_t* const first = table.Touch(50000);
  first[0] = 42;
  for (int64_t row = 0; row < 100000; row += 17) table.Touch(row);
  CHECK(table.Touch(50000) == first);
  CHECK(table.Find(50000) == first);
  CHECK(first[0] == 42);
}

TEST_CASE("a row for which there is no memory leaves the table as it was", "[rows]") {
  RowTable table(100, 256);
  table.Touch(1)[0] = 42;
  no_memory_for_arrays = true;
  bool refused = false;
  try {
    table.Touch(50);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  no_memory_for_arrays = false;
  REQUIRE(refused);
  CHECK(table.Find(50) == nullptr);
  CHECK(table.bytes() == 1024);
  CHECK(table.KeptRows() == std::vector<int64_t>{1});
  table.Touch(50)[0] = 7;
  CHECK(table.KeptRows() == std::vector<int64_t>{1, 50});
}

// Rows of 3 f32 of stripe 2 of 5, each element 4 but for what was written.
RowTable Fours(int64_t rows) {
  const InitialValues values({InitRuleKind::kConstant, 4, 0, 0, 0}, 17, DType::kFloat32);
  return RowTable(rows, 12, RowRule{values, 3, 5, 2});
}

TEST_CASE("rows by rule take memory once they are touched, each by itself", "[rows]") {
  RowTable table = Fours(int64_t{1} << 40);
  const std::vector<float> four = {4, 4, 4};
  std::vector<float> row(3);
  const int64_t last = (int64_t{1} << 40) - 1;
  table.Gather(&last, 1, reinterpret_cast<uint8_t*>(row.data()));
  CHECK(row == four);
  CHECK(table.bytes() == 0);
  CHECK(table.KeptRows().empty());

  CHECK(std::memcmp(table.Touch(last), four.data(), 12) == 0);
  const std::vector<float> written = {1, 2, 3};
  std::memcpy(table.Touch(7), written.data(), 12);
  CHECK(table.bytes() == 24);
  CHECK(table.KeptRows() == std::vector<int64_t>{7, last});
  std::vector<float> three(9);
  const std::vector<int64_t> ids = {6, 7, 8};
  table.Gather(ids.data(), 3, reinterpret_cast<uint8_t*>(three.data()));
  CHECK(three == std::vector<float>{4, 4, 4, 1, 2, 3, 4, 4, 4});
  table.KeepOnly({last});
  CHECK(table.KeptRows() == std::vector<int64_t>{last});
}

TEST_CASE("a table by rule is copied as a whole with the rows that nobody touched", "[rows]") {
  const InitialValues values({InitRuleKind::kUniform, 0, 1, 3, 0}, 17, DType::kFloat32);
  RowTable table(4, 12, RowRule{values, 3, 5, 2});
  const std::vector<float> written = {1, 2, 3};
  std::memcpy(table.Touch(1), written.data(), 12);
  std::vector<float> all(12), expected(12);
  table.CopyTo(reinterpret_cast<uint8_t*>(all.data()));
  for (const uint64_t row : {0, 2, 3}) values.Write((row * 5 + 2) * 3, 3, &expected[row * 3]);
  std::copy(written.begin(), written.end(), &expected[3]);
  CHECK(all == expected);
}

TEST_CASE("the pages that rows would make are counted before they are made", "[rows]") {
  RowTable table(1000, 256);  // 4 rows to a page
  const std::vector<int64_t> rows = {0, 1, 3, 4, 5, 9, 996};
  CHECK(table.PagesMissing(rows.data(), rows.size()) == 4);
  table.Touch(5);
  CHECK(table.PagesMissing(rows.data(), rows.size()) == 3);
  CHECK(table.pages() == 1);
  CHECK(table.pages_max() == 250);
  for (int64_t row = 0; row < 1000; row += 4) table.Touch(row);
  CHECK(table.pages() == table.pages_max());
  CHECK(table.PagesMissing(rows.data(), rows.size()) == 0);
  CHECK(Fours(1000).PagesMissing(rows.data(), rows.size()) == 7);  // a page each
}

}  // namespace kvstore
