// RowTable: rows by number, of which most may never have been written: those are zero and take no
// memory. It holds one stripe on a server (row numbers: id div P), or a whole value in a local
// store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace kvstore {

// Rows lie in pages of at most 1 KiB, at least one row; a page exists once one of its rows was
// touched. So the memory follows the rows that are used, not the height: a lookup is one probe of a
// hash table, an empty table costs nothing, and a lonely row costs a page.
// Threading: thread-compatible.
class RowTable {
 public:
  // Both at least 1.
  RowTable(int64_t rows, size_t row_bytes);

  int64_t rows() const { return rows_; }
  size_t row_bytes() const { return row_bytes_; }
  // Null: the row's page was never touched, the row is zero. `row` is KVS_CHECKed. The pointer
  // stays good as long as the table does.
  const uint8_t* Find(int64_t row) const;
  // The row, to be written. Zero at first. May throw std::bad_alloc; then the table is as it was.
  uint8_t* Touch(int64_t row);
  // Writes all rows, rows() * row_bytes() bytes.
  void CopyTo(uint8_t* destination) const;
  // The rows that have a byte other than zero, ascending. Visits every page that exists.
  std::vector<int64_t> NonZeroRows() const;
  // Of the pages that exist.
  uint64_t bytes() const { return pages_.size() * page_bytes_; }

 private:
  int64_t rows_;
  size_t row_bytes_;
  int rows_per_page_log2_;
  size_t page_bytes_;
  absl::flat_hash_map<int64_t, std::unique_ptr<uint8_t[]>> pages_;
};

}  // namespace kvstore
