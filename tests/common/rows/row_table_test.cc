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
  CHECK(table.NonZeroRows() == not_zero);
  const int64_t begin = rows / 3, end = rows - rows / 4;
  std::vector<int64_t> between;
  for (const int64_t row : not_zero) {
    if (row >= begin && row < end) between.push_back(row);
  }
  CHECK(table.NonZeroRows(begin, end, SIZE_MAX) == between);
  between.resize(between.size() / 2);
  CHECK(table.NonZeroRows(begin, end, between.size()) == between);
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
  CHECK(table.NonZeroRows().empty());
  CHECK(table.bytes() == 4 << 16);
  table.Touch(77)[3] = 1;
  table.DropZeroPages();
  CHECK(table.NonZeroRows() == std::vector<int64_t>{77});
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
  CHECK(table.NonZeroRows() == std::vector<int64_t>{1});
  table.Touch(50)[0] = 7;
  CHECK(table.NonZeroRows() == std::vector<int64_t>{1, 50});
}

}  // namespace kvstore
