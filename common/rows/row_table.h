// RowTable: rows by number, of which most may never have been written: those are zero, or what a
// rule says, and take no memory. It holds one stripe on a server (row numbers: id div P), or a
// whole value in a local store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/flat_map.h"
#include "common/initial/initial_values.h"

namespace kvstore {

// What the rows of a table are that were never written.
struct RowRule {
  InitialValues values;
  uint64_t row_elements = 1;
  // Row r of the table is row r * stripes + stripe of the value.
  uint64_t stripes = 1;
  uint64_t stripe = 0;

  void Write(int64_t row, uint8_t* to) const {
    const uint64_t of_value = static_cast<uint64_t>(row) * stripes + stripe;
    values.Write(of_value * row_elements, static_cast<size_t>(row_elements), to);
  }
};

// Rows lie in pages of at most 1 KiB, at least one row; a page exists once one of its rows was
// touched. So the memory follows the rows that are used, not the height: a lookup is one probe of a
// hash table, an empty table costs nothing, and a lonely row costs a page. What is done to many
// rows in ascending order costs a lookup per page. With a rule each row is a page of its own: the
// pages that exist are the rows that were written, and no others.
// Threading: thread-compatible.
class RowTable {
 public:
  // At least 0 rows of at least 1 byte. Without a rule, rows that were never written are zero.
  RowTable(int64_t rows, size_t row_bytes, std::optional<RowRule> rule = std::nullopt);

  int64_t rows() const { return rows_; }
  size_t row_bytes() const { return row_bytes_; }
  bool by_rule() const { return rule_.has_value(); }
  // The rule; null: none.
  const RowRule* rule() const { return rule_.has_value() ? &*rule_ : nullptr; }
  // Null: the row's page was never touched, the row is zero or what the rule says. `row` is
  // KVS_CHECKed. The pointer stays good as long as the page does.
  const uint8_t* Find(int64_t row) const;
  // The row, to be written; at first as it was. Other rows of its page lie around it, row r
  // (r - row) * row_bytes() behind it. May throw std::bad_alloc; then the table is as it was.
  uint8_t* Touch(int64_t row);

  // How many of `rows`, from the first on, are on its page, and whether each is the one after the
  // row before it.
  struct OnePage {
    size_t count = 0;
    bool consecutive = true;
  };
  // How many of `count` rows (at least one) lie on the page of the first, and where. All rows that
  // are counted are KVS_CHECKed to be below rows().
  OnePage OnPageOfFirst(const int64_t* rows, size_t count) const;
  // Asks the cache for the row's place in the table, which Find or Touch is about to look up: the
  // memory that some lookups wait for is then waited for at once. Any row may be named.
  void PrefetchLookup(int64_t row) const { pages_.prefetch(row >> rows_per_page_log2_); }
  // A power of 2.
  int64_t rows_per_page() const { return int64_t{1} << rows_per_page_log2_; }
  // How many rows would share a page in a table without a rule.
  static int64_t RowsPerPage(int64_t rows, size_t row_bytes);
  // How many pages exist; how many would if all rows were touched; the bytes of one.
  uint64_t pages() const { return pages_.size(); }
  uint64_t pages_max() const {
    return static_cast<uint64_t>(rows_ + rows_per_page() - 1) >> rows_per_page_log2_;
  }
  size_t page_bytes() const { return page_bytes_; }
  // How many pages touching these rows would make: exactly if they ascend, else perhaps fewer.
  // Costs a lookup for each page, unless all exist.
  uint64_t PagesMissing(const int64_t* rows, size_t count) const;

  // Writes these rows to the table, whose bytes lie back to back. May throw std::bad_alloc unless
  // all were touched; then some of them are written.
  void Scatter(const int64_t* rows, size_t count, const uint8_t* source);
  // Writes these rows back to back, count * row_bytes() bytes.
  void Gather(const int64_t* rows, size_t count, uint8_t* destination) const;
  // Writes all rows, rows() * row_bytes() bytes.
  void CopyTo(uint8_t* destination) const;
  // The rows on the pages that exist, ascending: all that are not zero, and others.
  std::vector<int64_t> TouchedRows() const;
  // The rows that say more than that nobody wrote them, ascending: those that have a byte other
  // than zero; with a rule, those that exist. Visits every page that exists.
  std::vector<int64_t> KeptRows() const { return KeptRows(0, rows_, SIZE_MAX); }
  // The first `most` of them that are from `begin` to `end` - 1. Visits only the pages of those.
  std::vector<int64_t> KeptRows(int64_t begin, int64_t end, size_t most) const;
  // All rows become zero; pages stay, and take memory. Without a rule.
  void Zero();
  // Gives back the pages that are zero. Without a rule.
  void DropZeroPages();
  // With a rule: of the rows that exist, those stay that are among `rows`, which ascend; the others
  // are as the rule says again.
  void KeepOnly(const std::vector<int64_t>& rows);
  // The memory of the pages that exist.
  uint64_t bytes() const { return pages_.size() * page_bytes_; }

 private:
  // Where the row begins on its page, in bytes.
  size_t PlaceOnPage(int64_t row) const {
    return (static_cast<size_t>(row) & ((size_t{1} << rows_per_page_log2_) - 1)) * row_bytes_;
  }

  int64_t rows_;
  size_t row_bytes_;
  std::optional<RowRule> rule_;
  int rows_per_page_log2_;
  size_t page_bytes_;
  FlatMap<int64_t, std::unique_ptr<uint8_t[]>> pages_;
};

}  // namespace kvstore
