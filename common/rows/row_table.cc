#include "common/rows/row_table.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"

namespace kvstore {
namespace {

constexpr size_t kPageBytes = 1024;

bool IsZero(const uint8_t* bytes, size_t size) {
  return std::all_of(bytes, bytes + size, [](uint8_t byte) { return byte == 0; });
}

}  // namespace

RowTable::RowTable(int64_t rows, size_t row_bytes)
    : rows_(rows), row_bytes_(row_bytes), rows_per_page_log2_(0) {
  KVS_CHECK(rows > 0 && row_bytes > 0);
  const auto room = [&](int log2) { return (size_t{1} << log2) * row_bytes; };
  while (room(rows_per_page_log2_ + 1) <= kPageBytes && int64_t{1} << rows_per_page_log2_ < rows) {
    ++rows_per_page_log2_;
  }
  page_bytes_ = room(rows_per_page_log2_);
}

const uint8_t* RowTable::Find(int64_t row) const {
  KVS_CHECK(row >= 0 && row < rows_);
  const auto page = pages_.find(row >> rows_per_page_log2_);
  if (page == pages_.end()) return nullptr;
  const int64_t first = page->first << rows_per_page_log2_;
  return page->second.get() + static_cast<size_t>(row - first) * row_bytes_;
}

uint8_t* RowTable::Touch(int64_t row) {
  KVS_CHECK(row >= 0 && row < rows_);
  const int64_t number = row >> rows_per_page_log2_;
  auto page = pages_.find(number);
  if (page == pages_.end()) {  // made before it is entered: there is memory for it, or no entry
    page = pages_.emplace(number, std::make_unique<uint8_t[]>(page_bytes_)).first;
  }
  const int64_t first = number << rows_per_page_log2_;
  return page->second.get() + static_cast<size_t>(row - first) * row_bytes_;
}

void RowTable::CopyTo(uint8_t* destination) const {
  const size_t bytes = static_cast<size_t>(rows_) * row_bytes_;
  std::memset(destination, 0, bytes);
  for (const auto& [number, page] : pages_) {
    const size_t offset = static_cast<size_t>(number) * page_bytes_;
    std::memcpy(destination + offset, page.get(), std::min(page_bytes_, bytes - offset));
  }
}

std::vector<int64_t> RowTable::NonZeroRows() const {
  std::vector<int64_t> rows;
  for (const auto& [number, page] : pages_) {
    const int64_t first = number << rows_per_page_log2_;
    const int64_t end = std::min(rows_, first + (int64_t{1} << rows_per_page_log2_));
    for (int64_t row = first; row < end; ++row) {
      if (!IsZero(page.get() + static_cast<size_t>(row - first) * row_bytes_, row_bytes_)) {
        rows.push_back(row);
      }
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace kvstore
