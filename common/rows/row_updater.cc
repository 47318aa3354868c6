#include "common/rows/row_updater.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/rows/row_bytes.h"

namespace kvstore {

uint64_t BytesOf(const RowState& state) {
  uint64_t total = 0;
  for (const RowTable& tensor : state.tensors) total += tensor.bytes();
  return total;
}

bool FitsLayout(const RowState* state, const StateLayout& layout) {
  return state != nullptr && state->layout.names == layout.names &&
         state->layout.dtype == layout.dtype && state->layout.one_per_row == layout.one_per_row;
}

namespace {

// Rows of a page that lie side by side and have so many elements are updated where they are. Others
// are gathered, until they have as many as the second number, updated together and put back: a call
// of an updater costs about as much as such copies, and each of few elements would cost a call.
constexpr size_t kElementsInPlace = 256;
constexpr size_t kElementsGathered = 1024;
// A block of rows of a BlockRunner has so many bytes of the value, about: they are in a cache of
// their thread's, and take much longer than giving them out.
constexpr size_t kBlockBytes = 256 << 10;

void RunInTurn(size_t blocks, BlockRunner::Work work) {
  for (size_t block = 0; block < blocks; ++block) work(block, 0);
}

RowStatePtr ZeroState(StateLayout layout, int64_t rows, size_t row_elements) {
  auto state = std::make_unique<RowState>();
  for (size_t i = 0; i < layout.names.size(); ++i) {
    const size_t elements = layout.RowElements(i, row_elements);
    state->tensors.emplace_back(rows, elements * DTypeBytes(layout.dtype));
  }
  state->layout = std::move(layout);
  return state;
}

// Where the rows of a sum lie in several tables, the value's and those of the state: in groups of
// rows that follow each other in the sum and are on one page of each table.
class Places {
 public:
  // Touches the rows in all tables. May throw std::bad_alloc.
  Places(const std::vector<int64_t>& rows, const std::vector<RowTable*>& tables)
      : tables_(tables), rows_(rows) {
    // Pages have powers of 2 of rows: rows on the smallest page are on one of any table.
    const auto fewer = [](const RowTable* a, const RowTable* b) {
      return a->rows_per_page() < b->rows_per_page();
    };
    const RowTable& smallest = **std::min_element(tables_.begin(), tables_.end(), fewer);
    constexpr size_t kAhead = 16;
    for (size_t i = 0; i < std::min(kAhead, rows.size()); ++i) {
      for (const RowTable* const table : tables_) table->PrefetchLookup(rows[i]);
    }
    for (size_t i = 0; i < rows.size(); i += groups_.back().count) {
      if (i + kAhead < rows.size()) {
        for (const RowTable* const table : tables_) table->PrefetchLookup(rows[i + kAhead]);
      }
      for (RowTable* const table : tables_) arrays_.push_back(table->Touch(rows[i]));
      groups_.push_back(smallest.OnPageOfFirst(&rows[i], rows.size() - i));
      rows_in_group_max_ = std::max(rows_in_group_max_, groups_.back().count);
    }
  }

  size_t groups() const { return groups_.size(); }
  const RowTable::OnePage& group(size_t i) const { return groups_[i]; }
  size_t rows_in_group_max() const { return rows_in_group_max_; }
  // Where the first row of a group is in each table.
  void* const* arrays(size_t group) const { return &arrays_[group * tables_.size()]; }

  // Asks the cache for the groups [begin, end), as many as there are.
  void Prefetch(size_t begin, size_t end) const {
    for (size_t group = begin; group < std::min(end, groups_.size()); ++group) {
      for (size_t table = 0; table < tables_.size(); ++table) {
        PrefetchBytes(arrays(group)[table], groups_[group].count * tables_[table]->row_bytes());
      }
    }
  }

  // Copies the groups [begin, end), of which the first begins at place `row` of the sum, to one
  // array per table.
  void Gather(size_t begin, size_t end, size_t row, void* const* to) const {
    Copy(begin, end, row, to,
         [](const int64_t* rows, size_t count, uint8_t* first, size_t row_bytes, uint8_t* array) {
           GatherRows(rows, count, first, row_bytes, array);
         });
  }
  // The way back.
  void Scatter(size_t begin, size_t end, size_t row, void* const* from) const {
    Copy(begin, end, row, from,
         [](const int64_t* rows, size_t count, uint8_t* first, size_t row_bytes, uint8_t* array) {
           ScatterRows(rows, count, array, row_bytes, first);
         });
  }

 private:
  template <typename CopyGroup>
  void Copy(size_t begin, size_t end, size_t row, void* const* arrays,
            const CopyGroup& copy) const {
    for (size_t table = 0; table < tables_.size(); ++table) {
      const size_t row_bytes = tables_[table]->row_bytes();
      auto* array = static_cast<uint8_t*>(arrays[table]);
      const int64_t* rows = &rows_[row];
      for (size_t group = begin; group < end; ++group) {
        const size_t count = groups_[group].count;
        copy(rows, count, static_cast<uint8_t*>(this->arrays(group)[table]), row_bytes, array);
        rows += count;
        array += count * row_bytes;
      }
    }
  }

  const std::vector<RowTable*> tables_;
  const std::vector<int64_t>& rows_;
  std::vector<RowTable::OnePage> groups_;
  std::vector<void*> arrays_;
  size_t rows_in_group_max_ = 0;
};

// The rows of `tables` that an update which is not lazy changes although the sum does not have
// them.
std::vector<int64_t> OtherRows(const std::vector<RowTable*>& tables, const RowSum& sum) {
  std::vector<int64_t> touched;
  for (const RowTable* const table : tables) {
    const std::vector<int64_t> rows = table->TouchedRows();
    std::vector<int64_t> both;
    both.reserve(touched.size() + rows.size());
    std::set_union(touched.begin(), touched.end(), rows.begin(), rows.end(),
                   std::back_inserter(both));
    touched = std::move(both);
  }
  std::vector<int64_t> summed = sum.rows();
  std::sort(summed.begin(), summed.end());
  std::vector<int64_t> others;
  others.reserve(touched.size());
  std::set_difference(touched.begin(), touched.end(), summed.begin(), summed.end(),
                      std::back_inserter(others));
  return others;
}

// Rows that are updated one after the other, in a value and its state. Made before anything
// changes, with all the memory that it takes.
class Batch {
 public:
  // `rows` are those of `sum`, which Run uses up; null: the sums are zeros.
  Batch(const std::vector<int64_t>& rows, const std::vector<RowTable*>& tables, RowSum* sum,
        size_t row_elements, size_t row_sum_bytes, size_t seats)
      : rows_(rows), places_(rows, tables), sum_(sum), row_elements_(row_elements) {
    CutIntoBlocks(seats, tables[0]->row_bytes());
    const bool narrow = row_elements < kElementsInPlace;
    const size_t rows_gathered = kElementsGathered / row_elements + 1 + places_.rows_in_group_max();
    seats_.resize(blocks_.size() > 1 ? seats : 1);  // of two blocks the third thread may do one
    for (Seat& seat : seats_) {
      for (const RowTable* const table : tables) {
        seat.memory.emplace_back(narrow ? rows_gathered * table->row_bytes() : 0);
        seat.gathered.push_back(seat.memory.back().data());
      }
      if (sum == nullptr || sum->lent()) seat.sums.resize(rows_gathered * row_sum_bytes);
    }
  }

  // Calls `update(rows, count, arrays, sums)` for all rows: `count` of them from `rows` on, where
  // they lie in the value and in the state, and their sums. For different rows at once, where the
  // runner has several threads.
  template <typename UpdateSome>
  void Run(const BlockRunner& runner, const UpdateSome& update) {
    const auto run = [&](size_t block, size_t seat) {
      RunBlock(blocks_[block], &seats_[seat], update);
    };
    if (blocks_.size() <= 1) return RunInTurn(blocks_.size(), run);
    runner.run(blocks_.size(), run);
  }

 private:
  // The groups [begin, end), of which the first begins at place `row` of the sum.
  struct Block {
    size_t begin = 0;
    size_t end = 0;
    size_t row = 0;
  };
  // What a thread works with.
  struct Seat {
    std::vector<std::vector<uint8_t>> memory;  // for rows that are gathered; wide rows never are
    std::vector<void*> gathered;               // begin of each
    std::vector<uint8_t> sums;                 // zeros, or copies of what is lent
  };

  void CutIntoBlocks(size_t seats, size_t row_bytes) {
    size_t row = 0;
    for (size_t group = 0; group < places_.groups(); ++group) {
      const bool full =
          !blocks_.empty() && seats > 1 && (row - blocks_.back().row) * row_bytes >= kBlockBytes;
      if (blocks_.empty() || full) blocks_.push_back({group, group, row});
      blocks_.back().end = group + 1;
      row += places_.group(group).count;
    }
  }

  template <typename UpdateSome>
  void RunBlock(const Block& block, Seat* seat, const UpdateSome& update) {
    size_t done = block.row;
    const auto run = [&](size_t rows, void* const* arrays) {
      uint8_t* sums = seat->sums.data();
      if (sum_ != nullptr) {
        sums = sum_->ToUseUp(done, rows, sums);
      } else {
        std::fill(seat->sums.begin(), seat->sums.end(), uint8_t{0});
      }
      update(&rows_[done], rows, arrays, sums);
    };
    for (size_t next = block.begin; next < block.end;) {
      const size_t begin = next++;
      size_t rows = places_.group(begin).count;
      if (InPlace(begin)) {
        run(rows, places_.arrays(begin));
      } else {
        while (next < block.end && !InPlace(next) && rows * row_elements_ < kElementsGathered) {
          rows += places_.group(next++).count;
        }
        if (begin == block.begin) places_.Prefetch(begin, next);
        places_.Prefetch(next, next + (next - begin));
        places_.Gather(begin, next, done, seat->gathered.data());
        run(rows, seat->gathered.data());
        places_.Scatter(begin, next, done, seat->gathered.data());
      }
      done += rows;
    }
  }

  bool InPlace(size_t group) const {
    const RowTable::OnePage& rows = places_.group(group);
    return rows.consecutive && rows.count * row_elements_ >= kElementsInPlace;
  }

  const std::vector<int64_t>& rows_;
  const Places places_;
  RowSum* const sum_;
  const size_t row_elements_;
  std::vector<Block> blocks_;
  std::vector<Seat> seats_;
};

}  // namespace

BlockRunner InTurn() { return {1, RunInTurn}; }

absl::Status UpdateRows(const PartUpdater& updater, KeyId key, DType dtype, RowTable& table,
                        RowSum& sum, RowStatePtr* state, Stripe stripe, const RoundCounts& counts,
                        const NormSums& norms, const BlockRunner& runner) {
  KVS_RETURN_IF_ERROR(updater.CheckRows(dtype));
  if (table.by_rule() && !updater.lazy_update()) {
    return absl::InvalidArgumentError(
        updater.updates_all_rows()
            ? fmt::format("optimizer '{}', which updates all rows: a key whose rows were brought "
                          "expected, got one whose rows come to be by rule",
                          updater.config().name)
            : "lazy_update = 1 expected for a key whose rows come to be by rule, got 0");
  }
  KVS_CHECK(table.row_bytes() == sum.row_elements() * DTypeBytes(dtype));
  StateLayout layout = updater.LayoutFor(dtype);
  const bool keeps_state = layout.keeps_state();
  RowStatePtr fresh;
  if (keeps_state && !FitsLayout(state->get(), layout)) {
    fresh = ZeroState(std::move(layout), table.rows(), sum.row_elements());
  }
  RowState* const kept = !keeps_state ? nullptr : fresh != nullptr ? fresh.get() : state->get();
  std::vector<RowTable*> tables = {&table};
  for (size_t i = 0; keeps_state && i < kept->tensors.size(); ++i) {
    tables.push_back(&kept->tensors[i]);
  }
  const size_t row_elements = sum.row_elements();
  Batch summed(sum.rows(), tables, &sum, row_elements, sum.row_sum_bytes(), runner.seats);
  std::vector<int64_t> other_rows;
  std::optional<Batch> others;
  if (!updater.lazy_update()) {
    other_rows = OtherRows(tables, sum);
    others.emplace(other_rows, tables, nullptr, row_elements, sum.row_sum_bytes(), runner.seats);
  }

  const bool assign = updater.config().name == "assign";
  std::vector<int64_t> kept_rows;
  if (assign && table.by_rule()) {
    kept_rows = sum.rows();
    std::sort(kept_rows.begin(), kept_rows.end());
  }

  // From here on nothing is allocated, so nothing can fail: the update is done as a whole.
  if (fresh != nullptr) *state = std::move(fresh);
  if (!keeps_state) state->reset();
  const uint64_t update = kept == nullptr ? 1 : ++kept->updates;
  if (assign && table.by_rule()) table.KeepOnly(kept_rows);
  if (assign && !table.by_rule()) table.Zero();
  const auto run = [&](const int64_t* rows, size_t count, void* const* arrays, uint8_t* sums) {
    updater.UpdateRows(key, dtype, update, count, row_elements,
                       {rows, stripe.stripes, stripe.stripe}, arrays[0], sums, arrays + 1, counts,
                       norms);
  };
  summed.Run(runner, run);
  if (others.has_value()) others->Run(runner, run);
  if (assign && !table.by_rule()) table.DropZeroPages();
  return absl::OkStatus();
}

}  // namespace kvstore
