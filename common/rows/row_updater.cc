#include "common/rows/row_updater.h"

#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace kvstore {

uint64_t BytesOf(const RowState& state) {
  uint64_t total = 0;
  for (const RowTable& tensor : state.tensors) total += tensor.bytes();
  return total;
}

namespace {

bool Fits(const RowState* state, const StateLayout& layout) {
  return state != nullptr && state->layout.names == layout.names &&
         state->layout.dtype == layout.dtype;
}

RowStatePtr ZeroState(StateLayout layout, int64_t rows, size_t row_elements) {
  auto state = std::make_unique<RowState>();
  for (size_t i = 0; i < layout.names.size(); ++i) {
    state->tensors.emplace_back(rows, row_elements * DTypeBytes(layout.dtype));
  }
  state->layout = std::move(layout);
  return state;
}

}  // namespace

absl::Status UpdateRows(const PartUpdater& updater, KeyId key, DType dtype, RowTable& table,
                        RowSum& sum, RowStatePtr* state) {
  KVS_RETURN_IF_ERROR(updater.CheckDType(dtype));
  KVS_CHECK(table.row_bytes() == sum.row_elements() * DTypeBytes(dtype));
  StateLayout layout = updater.LayoutFor(dtype);
  if (layout.names.empty()) {
    state->reset();
  } else if (!Fits(state->get(), layout)) {
    *state = ZeroState(std::move(layout), table.rows(), sum.row_elements());
  }
  RowState* const kept = state->get();
  const uint64_t update = kept == nullptr ? 1 : ++kept->updates;
  if (updater.name() == "assign") table = RowTable(table.rows(), table.row_bytes());
  std::vector<void*> tensors(kept == nullptr ? 0 : kept->tensors.size());
  uint8_t* row_sum = sum.sums();
  for (const int64_t row : sum.rows()) {
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i] = kept->tensors[i].Touch(row);
    updater.UpdateRun(key, dtype, update, sum.row_elements(), table.Touch(row), row_sum,
                      tensors.data());
    row_sum += sum.row_sum_bytes();
  }
  return absl::OkStatus();
}

}  // namespace kvstore
