// RowSum: the sum of row-sparse contributions, row by row. A row's sum is the left fold, in the
// order of the calls, of the contributions that have it; it starts from the first of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/uninitialized.h"
#include "common/tensor/dtype.h"
#include "common/wire/payload.h"

namespace kvstore {

// Holds sums in AccumulatorOf(dtype) (kernels.h): f32 for f16 and bf16, so that they are rounded
// once.
//
// Contributions come with ascending rows, and those of several workers have many rows in common. So
// the rows lie in a few ascending runs, one after the other, instead of under a hash table: a
// contribution walks along the runs, and what it has in common with one, or beyond all, is added in
// stretches. Costs about what the bytes cost, also for rows of one element. Threading:
// thread-compatible.
class RowSum {
 public:
  RowSum(DType dtype, size_t row_elements);
  // The sum of one contribution, whose bytes stay where the caller has them, unchanged, for as long
  // as the sum lives. `dtype` is its own accumulator; the rows ascend, each stands there once.
  // Nothing can be folded to it.
  static RowSum Lent(DType dtype, size_t row_elements, const int64_t* rows, size_t count,
                     const uint8_t* data);

  // A sum that somebody else has made: rows that ascend, each once, and their sums in
  // AccumulatorOf(dtype).
  static RowSum Made(DType dtype, size_t row_elements, std::vector<int64_t> rows,
                     UninitializedBytes sums);

  // Adds `count` rows: data holds them back to back, in `dtype`, cut into slices anywhere; its size
  // is KVS_CHECKed. An id that stands there twice counts twice. Ids that are not in ascending order
  // are sorted first, at the cost of a copy. May throw std::bad_alloc; then the sum is as it was.
  void Fold(const int64_t* rows, size_t count, const Payload& data);

  // The rows that any contribution had, each once: one ascending run after another. After a single
  // contribution, or several with the same rows, one run.
  const std::vector<int64_t>& rows() const { return rows_; }
  // Sums in the order of rows(), in AccumulatorOf(dtype).
  const uint8_t* sums() const { return lent_ != nullptr ? lent_ : sums_.data(); }
  // The sums of `count` rows from rows()[place] on, to be overwritten by an update: where they are,
  // or, if they are lent, copied to `copy`.
  uint8_t* ToUseUp(size_t place, size_t count, uint8_t* copy);
  bool lent() const { return lent_ != nullptr; }
  size_t row_elements() const { return row_elements_; }
  size_t row_sum_bytes() const { return row_sum_bytes_; }
  // The memory that the sum takes, about.
  uint64_t bytes() const;

 private:
  // An ascending run of rows: rows_[begin .. end), at least one.
  struct Run {
    size_t begin = 0;
    size_t end = 0;
    size_t at = 0;  // where the last search ended: in [begin, end)
  };
  // A stretch of a contribution's rows that are treated alike. Either they are in the sum side by
  // side, as rows_[place], rows_[place + 1], …; or none of them is in the sum (place is kNew); or
  // it is one row that repeats the row before it (kAgain).
  struct Stretch {
    size_t place = 0;
    size_t rows = 0;
  };

  void FoldSorted(const int64_t* rows, size_t count, const Payload& data);
  // Cuts a contribution's rows, which ascend, into stretches. Makes room for the new ones, so that
  // Append allocates nothing.
  std::vector<Stretch> Locate(const int64_t* rows, size_t count);
  // The place of `row` in rows_, or kNew.
  size_t Find(int64_t row);
  // How many of rows[0 .. count), from the first on, are rows_[place], rows_[place + 1], …; at
  // least one.
  size_t CommonFrom(size_t place, const int64_t* rows, size_t count) const;
  // Appends rows that are not in the sum yet, ascending.
  void Append(const int64_t* rows, size_t count, const uint8_t* data);
  void MergeRuns();

  DType dtype_;
  size_t row_elements_;
  size_t row_bytes_;
  size_t row_sum_bytes_;
  std::vector<int64_t> rows_;
  UninitializedBytes sums_;
  const uint8_t* lent_ = nullptr;  // then sums_ is empty
  std::vector<Run> runs_;
  int64_t greatest_ = 0;  // the greatest of rows_
};

}  // namespace kvstore
