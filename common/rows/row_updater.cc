#include "common/rows/row_updater.h"

#include <algorithm>
#include <string>
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

namespace {

// Rows of a page that lie side by side and have so many elements are updated where they are. Others
// are gathered, until they have as many as the second number, updated together and put back: a call
// of an updater costs about as much as such copies, and each of few elements would cost a call.
constexpr size_t kElementsInPlace = 256;
constexpr size_t kElementsGathered = 1024;

bool Fits(const RowState* state, const StateLayout& layout) {
  return state != nullptr && state->layout.names == layout.names &&
         state->layout.dtype == layout.dtype && state->layout.one_per_row == layout.one_per_row;
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
  Places(const std::vector<int64_t>& rows, std::vector<RowTable*> tables)
      : tables_(std::move(tables)), rows_(rows) {
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

}  // namespace

absl::Status UpdateRows(const PartUpdater& updater, KeyId key, DType dtype, RowTable& table,
                        RowSum& sum, RowStatePtr* state, Stripe stripe) {
  KVS_RETURN_IF_ERROR(updater.CheckDType(dtype));
  KVS_CHECK(table.row_bytes() == sum.row_elements() * DTypeBytes(dtype));
  StateLayout layout = updater.LayoutFor(dtype);
  const bool keeps_state = layout.keeps_state();
  RowStatePtr fresh;
  if (keeps_state && !Fits(state->get(), layout)) {
    fresh = ZeroState(std::move(layout), table.rows(), sum.row_elements());
  }
  RowState* const kept = !keeps_state ? nullptr : fresh != nullptr ? fresh.get() : state->get();
  std::vector<RowTable*> tables = {&table};
  for (size_t i = 0; keeps_state && i < kept->tensors.size(); ++i) {
    tables.push_back(&kept->tensors[i]);
  }
  const Places places(sum.rows(), tables);
  const size_t row_elements = sum.row_elements();
  // Memory for rows that are gathered; wide rows never are.
  std::vector<std::vector<uint8_t>> memory;
  std::vector<void*> gathered;
  for (const RowTable* const one : tables) {
    const bool narrow = row_elements < kElementsInPlace;
    const size_t rows = kElementsGathered / row_elements + 1 + places.rows_in_group_max();
    memory.emplace_back(narrow ? rows * one->row_bytes() : 0);
    gathered.push_back(memory.back().data());
  }

  // From here on nothing is allocated, so nothing can fail: the update is done as a whole.
  if (fresh != nullptr) *state = std::move(fresh);
  if (!keeps_state) state->reset();
  const uint64_t update = kept == nullptr ? 1 : ++kept->updates;
  const bool assign = updater.name() == "assign";
  if (assign) table.Zero();
  size_t done = 0;  // rows
  const auto run = [&](size_t rows, void* const* arrays) {
    const RowNumbers numbers{sum.rows().data() + done, stripe.stripes, stripe.stripe};
    updater.UpdateRows(key, dtype, update, rows, row_elements, numbers, arrays[0],
                       sum.sums() + done * sum.row_sum_bytes(), arrays + 1);
  };
  const auto in_place = [&](size_t group) {
    const RowTable::OnePage& rows = places.group(group);
    return rows.consecutive && rows.count * row_elements >= kElementsInPlace;
  };
  for (size_t next = 0; next < places.groups();) {
    const size_t begin = next++;
    size_t rows = places.group(begin).count;
    if (in_place(begin)) {
      run(rows, places.arrays(begin));
    } else {
      while (next < places.groups() && !in_place(next) && rows * row_elements < kElementsGathered) {
        rows += places.group(next++).count;
      }
      if (begin == 0) places.Prefetch(begin, next);
      places.Prefetch(next, next + (next - begin));
      places.Gather(begin, next, done, gathered.data());
      run(rows, gathered.data());
      places.Scatter(begin, next, done, gathered.data());
    }
    done += rows;
  }
  if (assign) table.DropZeroPages();
  return absl::OkStatus();
}

}  // namespace kvstore
