// RowTable: rows by number, of which most may never have been written: those are zero and take no
// memory. It holds one stripe on a server (row numbers: id div P), or a whole value in a local
// store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace kvstore {

// Rows lie in pages of about 64 KiB, at least one row; a page exists once one of its rows was
// written. A lookup costs one load, whatever the height; an empty table costs a pointer per page.
// Threading: thread-compatible.
class RowTable {
 public:
  RowTable(int64_t rows, size_t row_bytes);

  int64_t rows() const { return rows_; }
  size_t row_bytes() const { return row_bytes_; }
  // Null: the row's page was never written, the row is zero. `row` is KVS_CHECKed.
  const uint8_t* Find(int64_t row) const;
  // The row, to be written. Zero at first.
  uint8_t* Touch(int64_t row);
  // Of the pages that exist.
  uint64_t bytes() const { return bytes_; }

 private:
  int64_t rows_;
  size_t row_bytes_;
  int rows_per_page_log2_;
  uint64_t bytes_ = 0;
  std::vector<std::unique_ptr<uint8_t[]>> pages_;
};

}  // namespace kvstore
