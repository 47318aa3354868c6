#include "server/values/program_update.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

MutableBufferPtr CopyOf(const uint8_t* bytes, size_t size) {
  auto copy = std::make_shared<Buffer>(size);
  if (size > 0) std::memcpy(copy->data(), bytes, size);
  return copy;
}

MutableBufferPtr Zeros(size_t size) {
  auto zeros = std::make_shared<Buffer>(size);
  if (size > 0) std::memset(zeros->data(), 0, size);
  return zeros;
}

// `elements` values of `dtype` in `computed`, which is `dtype` or what it is summed in.
MutableBufferPtr ValueIn(DType computed, DType dtype, const uint8_t* value, size_t elements) {
  if (computed == dtype) return CopyOf(value, elements * DTypeBytes(dtype));
  auto wide = std::make_shared<Buffer>(elements * DTypeBytes(computed));
  Widen(dtype, wide->data(), value, elements);
  return wide;
}

// A sum of values of `dtype`, which is rounded to it, in `computed`.
MutableBufferPtr SumIn(DType computed, DType dtype, const uint8_t* sum, size_t elements) {
  if (AccumulatorOf(dtype) == dtype) return CopyOf(sum, elements * DTypeBytes(dtype));
  auto rounded = std::make_shared<Buffer>(elements * DTypeBytes(dtype));
  Narrow(dtype, rounded->data(), sum, elements);
  return computed == dtype ? rounded : ValueIn(computed, dtype, rounded->data(), elements);
}

// What the updater wrote as the new value, in the key's dtype; `room` has place for it where the
// dtypes differ.
BufferPtr Finished(DType computed, DType dtype, MutableBufferPtr stored, MutableBufferPtr room,
                   size_t elements) {
  if (computed == dtype) return stored;
  Narrow(dtype, room->data(), stored->data(), elements);
  return room;
}

bool Fits(const UpdaterState* state, const StateLayout& layout, size_t bytes) {
  return state != nullptr && state->names == layout.names && state->dtype == layout.dtype &&
         std::all_of(state->tensors.begin(), state->tensors.end(),
                     [bytes](const MutableBufferPtr& tensor) { return tensor->size() == bytes; });
}

bool Fits(const RowState* state, const StateLayout& layout) {
  return state != nullptr && state->layout.names == layout.names &&
         state->layout.dtype == layout.dtype && state->layout.one_per_row == layout.one_per_row;
}

// A copy of the state that the updater finds, or zeros.
std::unique_ptr<UpdaterState> NextState(const UpdaterState* state, const StateLayout& layout,
                                        size_t elements) {
  const size_t bytes = elements * DTypeBytes(layout.dtype);
  const bool fits = Fits(state, layout, bytes);
  auto next = std::make_unique<UpdaterState>();
  next->names = layout.names;
  next->dtype = layout.dtype;
  next->updates = (fits ? state->updates : 0) + 1;
  for (size_t i = 0; i < layout.names.size(); ++i) {
    next->tensors.push_back(fits ? CopyOf(state->tensors[i]->data(), bytes) : Zeros(bytes));
  }
  return next;
}

RowStatePtr ZeroRows(const StateLayout& layout, int64_t rows, size_t row_elements) {
  auto state = std::make_unique<RowState>();
  state->layout = layout;
  for (size_t i = 0; i < layout.names.size(); ++i) {
    state->tensors.emplace_back(rows,
                                layout.RowElements(i, row_elements) * DTypeBytes(layout.dtype));
  }
  return state;
}

// Makes the rows' pages, so that writing them takes no memory any more.
void TouchAll(const std::vector<int64_t>& rows, RowTable& table) {
  for (const int64_t row : rows) table.Touch(row);
}

MutableBufferPtr Gathered(const std::vector<int64_t>& rows, const RowTable& table) {
  auto bytes = std::make_shared<Buffer>(rows.size() * table.row_bytes());
  if (!rows.empty()) table.Gather(rows.data(), rows.size(), bytes->data());
  return bytes;
}

// The rows of a sum, ascending, and their sums in that order.
struct SortedSum {
  std::vector<int64_t> rows;
  MutableBufferPtr copy;          // null: they were in order
  const uint8_t* sums = nullptr;  // of the sum, or of the copy
};

SortedSum Sorted(const RowSum& sum) {
  SortedSum sorted{sum.rows(), nullptr, sum.sums()};
  if (std::is_sorted(sorted.rows.begin(), sorted.rows.end())) return sorted;
  std::vector<size_t> order(sorted.rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&sum](size_t a, size_t b) { return sum.rows()[a] < sum.rows()[b]; });
  const size_t row_bytes = sum.row_sum_bytes();
  sorted.copy = std::make_shared<Buffer>(order.size() * row_bytes);
  for (size_t i = 0; i < order.size(); ++i) {
    sorted.rows[i] = sum.rows()[order[i]];
    std::memcpy(sorted.copy->data() + i * row_bytes, sum.sums() + order[i] * row_bytes, row_bytes);
  }
  sorted.sums = sorted.copy->data();
  return sorted;
}

}  // namespace

absl::StatusOr<BufferPtr> UpdateDenseByProgram(ProgramUpdater& program, const ProgramTarget& target,
                                               const Buffer& value, const MutableBufferPtr& sum,
                                               std::unique_ptr<UpdaterState>* state) {
  const DType dtype = target.key.dtype;
  const DType computed = program.ComputesIn(dtype);
  const size_t elements = value.size() / DTypeBytes(dtype);
  ProgramUpdate update;
  update.key = &target.key;
  update.part = target.part;
  update.version = target.version;
  update.counts = target.counts;
  update.dtype = computed;
  update.first_element = PartOffset(target.part.part) / DTypeBytes(dtype);
  update.merged =
      AccumulatorOf(dtype) == dtype ? sum : SumIn(computed, dtype, sum->data(), elements);
  update.stored = ValueIn(computed, dtype, value.data(), elements);
  const MutableBufferPtr room =
      computed == dtype ? nullptr : std::make_shared<Buffer>(value.size());
  const StateLayout layout = program.LayoutFor(dtype);
  std::unique_ptr<UpdaterState> next;
  if (layout.keeps_state()) {
    next = NextState(state->get(), layout, elements);
    update.update = next->updates;
    update.state = next->tensors;
  }
  KVS_RETURN_IF_ERROR(program.Update(update));
  // From here on nothing is allocated.
  if (next != nullptr) *state = std::move(next);
  return Finished(computed, dtype, std::move(update.stored), room, elements);
}

absl::Status UpdateRowsByProgram(ProgramUpdater& program, const ProgramTarget& target,
                                 const RowShape& cut, RowTable& table, const RowSum& sum,
                                 RowStatePtr* state) {
  if (!program.takes_rows()) {
    return absl::UnimplementedError(
        fmt::format("{}: a dense key expected, this server runs {}, which has no rows",
                    KeyLabel(target.key.key, target.key.name), program.label()));
  }
  const DType dtype = target.key.dtype;
  const DType computed = program.ComputesIn(dtype);
  const SortedSum sorted = Sorted(sum);
  const std::vector<int64_t>& rows = sorted.rows;
  const size_t elements = rows.size() * cut.row_elements;
  ProgramUpdate update;
  update.key = &target.key;
  update.part = target.part;
  update.version = target.version;
  update.counts = target.counts;
  update.dtype = computed;
  update.row_elements = cut.row_elements;
  update.rows.reserve(rows.size());
  for (const int64_t row : rows) {
    update.rows.push_back(row * static_cast<int64_t>(cut.stripes) +
                          static_cast<int64_t>(target.part.part));
  }
  update.merged = SumIn(computed, dtype, sorted.sums, elements);
  const MutableBufferPtr value = Gathered(rows, table);
  update.stored = computed == dtype ? value : ValueIn(computed, dtype, value->data(), elements);
  const StateLayout layout = program.LayoutFor(dtype);
  RowStatePtr fresh;
  if (layout.keeps_state() && !Fits(state->get(), layout)) {
    fresh = ZeroRows(layout, table.rows(), cut.row_elements);
  }
  RowState* const kept = !layout.keeps_state() ? nullptr
                         : fresh != nullptr    ? fresh.get()
                                               : state->get();
  TouchAll(rows, table);
  if (kept != nullptr) {
    update.update = kept->updates + 1;
    for (RowTable& tensor : kept->tensors) {
      update.state.push_back(Gathered(rows, tensor));
      TouchAll(rows, tensor);
    }
  }
  KVS_RETURN_IF_ERROR(program.Update(update));
  // From here on nothing is allocated: all rows were touched.
  const BufferPtr finished = Finished(computed, dtype, update.stored, value, elements);
  table.Scatter(rows.data(), rows.size(), finished->data());
  if (kept == nullptr) return absl::OkStatus();
  ++kept->updates;
  for (size_t i = 0; i < kept->tensors.size(); ++i) {
    kept->tensors[i].Scatter(rows.data(), rows.size(), update.state[i]->data());
  }
  if (fresh != nullptr) *state = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace kvstore
