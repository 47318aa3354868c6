#include "common/rows/row_sum.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "common/base/check.h"
#include "common/base/headroom.h"
#include "common/kernels/kernels.h"
#include "common/rows/ascending.h"
#include "common/rows/row_bytes.h"

namespace kvstore {
namespace {

// Places of a Stretch that are none.
constexpr size_t kNew = std::numeric_limits<size_t>::max();
constexpr size_t kAgain = kNew - 1;

// How many of rows[0 .. count), at least one, ascend from the first on, none of them twice.
size_t Ascending(const int64_t* rows, size_t count) {
  if (Ascend(rows, count)) return count;
  size_t n = 1;
  while (n < count && rows[n] > rows[n - 1]) ++n;
  return n;
}

// Room for `size` items; grows as vectors do.
template <typename Items>
void ReserveFor(size_t size, Items* items) {
  if (size <= items->capacity()) return;
  const size_t room = std::max(size, items->capacity() * 2);
  LeaveHeadroom(room * sizeof((*items)[0]));
  items->reserve(room);
}

}  // namespace

RowSum::RowSum(DType dtype, size_t row_elements)
    : dtype_(dtype),
      row_elements_(row_elements),
      row_bytes_(row_elements * DTypeBytes(dtype)),
      row_sum_bytes_(row_elements * DTypeBytes(AccumulatorOf(dtype))) {
  KVS_CHECK(row_bytes_ > 0);
}

RowSum RowSum::Lent(DType dtype, size_t row_elements, const int64_t* rows, size_t count,
                    const uint8_t* data) {
  KVS_CHECK(AccumulatorOf(dtype) == dtype);
  RowSum sum(dtype, row_elements);
  if (count == 0) return sum;
  sum.rows_.assign(rows, rows + count);
  sum.lent_ = data;
  return sum;
}

RowSum RowSum::Made(DType dtype, size_t row_elements, std::vector<int64_t> rows,
                    UninitializedBytes sums) {
  RowSum sum(dtype, row_elements);
  KVS_CHECK(sums.size() == rows.size() * sum.row_sum_bytes_);
  if (rows.empty()) return sum;
  sum.runs_.push_back({0, rows.size(), 0});
  sum.greatest_ = rows.back();
  sum.rows_ = std::move(rows);
  sum.sums_ = std::move(sums);
  return sum;
}

uint8_t* RowSum::ToUseUp(size_t place, size_t count, uint8_t* copy) {
  if (lent_ == nullptr) return sums_.data() + place * row_sum_bytes_;
  std::memcpy(copy, lent_ + place * row_sum_bytes_, count * row_sum_bytes_);
  return copy;
}

void RowSum::Fold(const int64_t* rows, size_t count, const Payload& data) {
  KVS_CHECK(lent_ == nullptr);
  KVS_CHECK(data.size() / row_bytes_ == count && data.size() % row_bytes_ == 0);
  if (Ascend(rows, count) || std::is_sorted(rows, rows + count)) {
    return FoldSorted(rows, count, data);
  }
  // Stable: what a row is given twice is added in the order in which it came.
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [rows](size_t a, size_t b) { return rows[a] < rows[b]; });
  std::vector<uint8_t> bytes(data.size()), sorted_bytes(data.size());
  data.CopyTo(bytes.data());
  std::vector<int64_t> sorted(count);
  for (size_t i = 0; i < count; ++i) {
    sorted[i] = rows[order[i]];
    std::memcpy(&sorted_bytes[i * row_bytes_], &bytes[order[i] * row_bytes_], row_bytes_);
  }
  const Slice slice{sorted_bytes.data(), sorted_bytes.size(), nullptr};
  FoldSorted(sorted.data(), count, Payload(slice));
}

void RowSum::FoldSorted(const int64_t* rows, size_t count, const Payload& data) {
  MergeRuns();
  const std::vector<Stretch> stretches = Locate(rows, count);
  auto stretch = stretches.begin();
  size_t done = 0;   // rows of *stretch
  size_t again = 0;  // the place of the row before *rows
  ForEachStretch(data, row_bytes_, [&](const uint8_t* bytes, size_t left) {  // allocates nothing
    while (left > 0) {
      const size_t take = std::min(left, stretch->rows - done);
      if (stretch->place == kNew) {
        Append(rows, take, bytes);
        again = rows_.size() - 1;
      } else {
        const size_t place = stretch->place == kAgain ? again : stretch->place + done;
        Accumulate(dtype_, &sums_[place * row_sum_bytes_], bytes, take * row_elements_);
        again = place + take - 1;
      }
      rows += take;
      bytes += take * row_bytes_;
      left -= take;
      done += take;
      if (done < stretch->rows) continue;
      ++stretch;
      done = 0;
    }
  });
}

std::vector<RowSum::Stretch> RowSum::Locate(const int64_t* rows, size_t count) {
  std::vector<Stretch> stretches;
  size_t new_rows = 0;
  for (size_t i = 0; i < count;) {
    Stretch next;
    if (i > 0 && rows[i] == rows[i - 1]) {
      next = {kAgain, 1};
    } else if (rows_.empty() || rows[i] > greatest_) {  // then so are all that ascend from it
      next = {kNew, Ascending(rows + i, count - i)};
    } else if (const size_t place = Find(rows[i]); place != kNew) {
      next = {place, CommonFrom(place, rows + i, count - i)};
    } else {
      next = {kNew, 1};
    }
    i += next.rows;
    if (next.place == kNew) new_rows += next.rows;
    if (next.place == kNew && !stretches.empty() && stretches.back().place == kNew) {
      stretches.back().rows += next.rows;
    } else {
      stretches.push_back(next);
    }
  }
  ReserveFor(rows_.size() + new_rows, &rows_);
  ReserveFor(sums_.size() + new_rows * row_sum_bytes_, &sums_);
  ReserveFor(runs_.size() + 1, &runs_);  // rows that ascend begin one run at most
  return stretches;
}

size_t RowSum::Find(int64_t row) {
  for (Run& run : runs_) {
    // Rows are looked for in ascending order, so the next one is mostly a few steps behind the last
    // one: steps that double, then bisection within the last of them.
    size_t low = run.begin;
    size_t high = run.at + 1;  // the row is in [low, high), or the run does not have it
    if (rows_[run.at] < row) {
      low = high;
      for (size_t step = 1; high < run.end && rows_[high] < row; step *= 2) {
        low = high + 1;
        high = std::min(high + step, run.end);
      }
      high = std::min(high + 1, run.end);
    }
    const int64_t* const at = std::lower_bound(&rows_[0] + low, &rows_[0] + high, row);
    const auto place = static_cast<size_t>(at - &rows_[0]);
    run.at = std::min(place, run.end - 1);
    if (place < high && *at == row) return place;
  }
  return kNew;
}

size_t RowSum::CommonFrom(size_t place, const int64_t* rows, size_t count) const {
  const size_t most = std::min(count, rows_.size() - place);
  size_t n = 1;
  while (n < most && rows[n] == rows_[place + n]) ++n;
  return n;
}

void RowSum::Append(const int64_t* rows, size_t count, const uint8_t* data) {
  const size_t size = rows_.size();
  if (runs_.empty() || rows_.back() > rows[0]) runs_.push_back({size, size, size});
  runs_.back().end = size + count;
  greatest_ = size == 0 ? rows[count - 1] : std::max(greatest_, rows[count - 1]);
  rows_.insert(rows_.end(), rows, rows + count);
  sums_.resize(sums_.size() + count * row_sum_bytes_);
  Widen(dtype_, &sums_[size * row_sum_bytes_], data, count * row_elements_);
}

// A run is merged into the one before it unless that is twice as long, so that there are few: each
// is twice as long as the next, but for the last, which may still grow. A row is copied as often as
// the length of its run doubles. With one or two contributions nothing is merged.
void RowSum::MergeRuns() {
  while (runs_.size() >= 2) {
    Run& first = runs_[runs_.size() - 2];
    const Run& second = runs_.back();
    if (first.end - first.begin >= 2 * (second.end - second.begin)) return;
    std::vector<int64_t> rows(second.end - first.begin);
    UninitializedBytes sums(rows.size() * row_sum_bytes_);
    size_t to = 0;
    // Moves the rows of `run` from `from` on that are below the row at `other`; returns the next.
    const auto take = [&](const Run& run, size_t from, const Run& other_run, size_t other) {
      size_t end = from;
      while (end < run.end && (other == other_run.end || rows_[end] < rows_[other])) ++end;
      if (end == from) return from;
      std::copy_n(&rows_[from], end - from, &rows[to]);
      std::memcpy(&sums[to * row_sum_bytes_], &sums_[from * row_sum_bytes_],
                  (end - from) * row_sum_bytes_);
      to += end - from;
      return end;
    };
    size_t a = first.begin;
    size_t b = second.begin;
    while (to < rows.size()) {
      a = take(first, a, second, b);
      b = take(second, b, first, a);
    }
    std::copy(rows.begin(), rows.end(), &rows_[first.begin]);
    std::memcpy(&sums_[first.begin * row_sum_bytes_], sums.data(), sums.size());
    first.end = second.end;
    first.at = first.begin;
    runs_.pop_back();
  }
}

uint64_t RowSum::bytes() const {
  return sums_.capacity() + rows_.capacity() * sizeof(int64_t) + runs_.capacity() * sizeof(Run);
}

}  // namespace kvstore
