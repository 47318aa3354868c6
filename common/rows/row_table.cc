#include "common/rows/row_table.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "common/base/check.h"
#include "common/base/headroom.h"
#include "common/rows/ascending.h"
#include "common/rows/row_bytes.h"

namespace kvstore {
namespace {

constexpr size_t kPageBytes = 1024;

bool IsZero(const uint8_t* bytes, size_t size) {
  // Each byte is compared with the one before it.
  return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0;
}

// Rows of as many bytes as Word has.
template <typename Word>
bool IsZeroWord(const uint8_t* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof(word));
  return word == 0;
}

bool RowIsZero(const uint8_t* row, size_t row_bytes) {
  if (row_bytes == 4) return IsZeroWord<uint32_t>(row);
  if (row_bytes == 8) return IsZeroWord<uint64_t>(row);
  return IsZero(row, row_bytes);
}

// The logarithm of how many rows share a page.
int RowsPerPageLog2(int64_t rows, size_t row_bytes) {
  int log2 = 0;
  while ((size_t{2} << log2) * row_bytes <= kPageBytes && int64_t{1} << log2 < rows) ++log2;
  return log2;
}

}  // namespace

RowTable::RowTable(int64_t rows, size_t row_bytes, std::optional<RowRule> rule)
    : rows_(rows),
      row_bytes_(row_bytes),
      rule_(rule),
      rows_per_page_log2_(rule.has_value() ? 0 : RowsPerPageLog2(rows, row_bytes)),
      page_bytes_((size_t{1} << rows_per_page_log2_) * row_bytes) {
  KVS_CHECK(rows >= 0 && row_bytes > 0);
}

int64_t RowTable::RowsPerPage(int64_t rows, size_t row_bytes) {
  return int64_t{1} << RowsPerPageLog2(rows, row_bytes);
}

const uint8_t* RowTable::Find(int64_t row) const {
  KVS_CHECK(row >= 0 && row < rows_);
  const auto page = pages_.find(row >> rows_per_page_log2_);
  return page == pages_.end() ? nullptr : page->second.get() + PlaceOnPage(row);
}

uint8_t* RowTable::Touch(int64_t row) {
  KVS_CHECK(row >= 0 && row < rows_);
  const int64_t number = row >> rows_per_page_log2_;
  auto page = pages_.find(number);
  if (page == pages_.end()) {  // made before it is entered: there is memory for it, or no entry
    LeaveHeadroom(page_bytes_);
    auto fresh = std::make_unique<uint8_t[]>(page_bytes_);
    if (rule_.has_value()) rule_->Write(row, fresh.get());
    page = pages_.emplace(number, std::move(fresh)).first;
  }
  return page->second.get() + PlaceOnPage(row);
}

RowTable::OnePage RowTable::OnPageOfFirst(const int64_t* rows, size_t count) const {
  KVS_CHECK(rows[0] >= 0 && rows[0] < rows_);
  const int64_t first = rows[0];
  const int64_t page_begin = first >> rows_per_page_log2_ << rows_per_page_log2_;
  const int64_t page_end = std::min(rows_, page_begin + rows_per_page());
  const auto most = std::min(count, static_cast<size_t>(page_end - first));
  if (rows[most - 1] - first == static_cast<int64_t>(most - 1) && Consecutive(rows, most)) {
    return {most, true};
  }
  OnePage on_page;
  for (size_t i = 0; i < count && rows[i] >= page_begin && rows[i] < page_end; ++i) {
    on_page.consecutive &= rows[i] == first + static_cast<int64_t>(i);
    ++on_page.count;
  }
  return on_page;
}

uint64_t RowTable::PagesMissing(const int64_t* rows, size_t count) const {
  if (pages() == pages_max()) return 0;
  constexpr size_t kAhead = 16;
  uint64_t missing = 0;
  int64_t last = -1;
  for (size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) PrefetchLookup(rows[i + kAhead]);
    const int64_t page = rows[i] >> rows_per_page_log2_;
    if (page == last) continue;
    last = page;
    if (pages_.find(page) == pages_.end()) ++missing;
  }
  return missing;
}

void RowTable::Scatter(const int64_t* rows, size_t count, const uint8_t* source) {
  for (size_t i = 0; i < count;) {
    const OnePage on_page = OnPageOfFirst(rows + i, count - i);
    uint8_t* const first = Touch(rows[i]);
    if (on_page.consecutive) {
      std::memcpy(first, source, on_page.count * row_bytes_);
    } else {
      ScatterRows(rows + i, on_page.count, source, row_bytes_, first);
    }
    source += on_page.count * row_bytes_;
    i += on_page.count;
  }
}

void RowTable::Gather(const int64_t* rows, size_t count, uint8_t* destination) const {
  // Three steps for some pages at a time, so that the memory that is waited for is waited for at
  // once: their places in the table, their bytes, the copies.
  struct Found {
    OnePage on_page;
    int64_t row = 0;
    const uint8_t* first = nullptr;  // null: zeros, or a row by rule
  };
  constexpr size_t kPages = 16;
  Found pages[kPages];
  for (size_t i = 0; i < count;) {
    size_t found = 0;
    for (size_t k = i; found < kPages && k < count; k += pages[found++].on_page.count) {
      pages[found] = {OnPageOfFirst(rows + k, count - k), rows[k]};
      PrefetchLookup(rows[k]);
    }
    for (size_t k = 0; k < found; ++k) {
      pages[k].first = Find(pages[k].row);
      if (pages[k].first != nullptr)
        PrefetchBytes(pages[k].first, pages[k].on_page.count * row_bytes_);
    }
    for (size_t k = 0; k < found; ++k) {
      const auto& [on_page, row, first] = pages[k];
      const size_t bytes = on_page.count * row_bytes_;
      if (first == nullptr && rule_.has_value()) {
        rule_->Write(row, destination);
      } else if (first == nullptr) {
        std::memset(destination, 0, bytes);
      } else if (on_page.consecutive) {
        std::memcpy(destination, first, bytes);
      } else {
        GatherRows(rows + i, on_page.count, first, row_bytes_, destination);
      }
      destination += bytes;
      i += on_page.count;
    }
  }
}

void RowTable::CopyTo(uint8_t* destination) const {
  const size_t bytes = static_cast<size_t>(rows_) * row_bytes_;
  if (rule_.has_value()) {
    for (int64_t row = 0; row < rows_; ++row) {
      if (Find(row) == nullptr) {
        rule_->Write(row, destination + static_cast<size_t>(row) * row_bytes_);
      }
    }
  } else {
    std::memset(destination, 0, bytes);
  }
  for (const auto& [number, page] : pages_) {
    const size_t offset = static_cast<size_t>(number) * page_bytes_;
    std::memcpy(destination + offset, page.get(), std::min(page_bytes_, bytes - offset));
  }
}

std::vector<int64_t> RowTable::TouchedRows() const {
  std::vector<int64_t> pages;
  pages.reserve(pages_.size());
  for (const auto& page : pages_) pages.push_back(page.first);
  std::sort(pages.begin(), pages.end());
  std::vector<int64_t> rows;
  rows.reserve(pages.size() << rows_per_page_log2_);
  for (const int64_t page : pages) {
    const int64_t begin = page << rows_per_page_log2_;
    const int64_t end = std::min(rows_, begin + rows_per_page());
    for (int64_t row = begin; row < end; ++row) rows.push_back(row);
  }
  return rows;
}

std::vector<int64_t> RowTable::KeptRows(int64_t begin, int64_t end, size_t most) const {
  std::vector<std::pair<int64_t, const uint8_t*>> pages;
  pages.reserve(pages_.size());
  for (const auto& [number, page] : pages_) {
    const int64_t first = number << rows_per_page_log2_;
    if (first < end && first + rows_per_page() > begin) pages.emplace_back(number, page.get());
  }
  // A heap, as often only the first pages of many are wanted.
  std::make_heap(pages.begin(), pages.end(), std::greater<>());
  std::vector<int64_t> rows;
  for (auto rest = pages.end(); rest != pages.begin();) {
    std::pop_heap(pages.begin(), rest--, std::greater<>());
    const auto& [number, page] = *rest;
    const int64_t first = number << rows_per_page_log2_;
    const int64_t last = std::min({rows_, end, first + rows_per_page()});
    for (int64_t row = std::max(first, begin); row < last; ++row) {
      const uint8_t* const bytes = page + static_cast<size_t>(row - first) * row_bytes_;
      if (!rule_.has_value() && RowIsZero(bytes, row_bytes_)) continue;
      if (rows.size() == most) return rows;
      rows.push_back(row);
    }
  }
  return rows;
}

void RowTable::Zero() {
  KVS_CHECK(!rule_.has_value());
  for (const auto& [number, page] : pages_) std::memset(page.get(), 0, page_bytes_);
}

void RowTable::KeepOnly(const std::vector<int64_t>& rows) {
  KVS_CHECK(rule_.has_value());
  pages_.EraseIf([&rows](const auto& page) {
    return !std::binary_search(rows.begin(), rows.end(), page.first);
  });
}

void RowTable::DropZeroPages() {
  KVS_CHECK(!rule_.has_value());
  pages_.EraseIf([this](const auto& page) { return IsZero(page.second.get(), page_bytes_); });
}

}  // namespace kvstore
