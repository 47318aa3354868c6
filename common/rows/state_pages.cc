#include "common/rows/state_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/model/worker_tensors.h"

namespace kvstore {
namespace {

constexpr size_t kIdBytes = sizeof(int64_t);

absl::Status CheckCursor(const StateInfo& info, uint64_t units, const StateCursor& from) {
  const size_t tensors = info.kept ? info.names.size() : 0;
  const bool first = from.tensor == 0 && from.from == 0;
  if (from.info_only || first || (from.tensor < tensors && from.from <= units)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("state: a page of tensor 0 to {} that begins at 0 to {} expected, got tensor {} "
                  "at {}",
                  std::max<size_t>(tensors, 1) - 1, units, from.tensor, from.from));
}

// Whether another page follows one that ends at `to`.
bool MoreAfter(const StateInfo& info, uint32_t tensor, uint64_t to, uint64_t units) {
  return to < units || tensor + 1 < info.names.size();
}

bool IsKind(const std::vector<std::string>& names, DType dtype, const StateInfo& kind) {
  return kind.keeps_state() && AreTensors(names, kind.names, kind.by_worker) && dtype == kind.dtype;
}

// The first `most` rows from `begin` on that any of the tensors has.
std::vector<int64_t> KeptRows(const RowState& state, int64_t begin, int64_t end, size_t most) {
  std::vector<int64_t> rows;
  for (const RowTable& tensor : state.tensors) {
    const std::vector<int64_t> more = tensor.KeptRows(begin, end, most);
    std::vector<int64_t> both;
    both.reserve(rows.size() + more.size());
    std::set_union(rows.begin(), rows.end(), more.begin(), more.end(), std::back_inserter(both));
    rows = std::move(both);
  }
  if (rows.size() > most) rows.resize(most);
  return rows;
}

}  // namespace

StateInfo KindOf(std::string_view updater, StateLayout layout) {
  StateInfo kind;
  kind.updater = std::string(updater);
  kind.counted = layout.counted;
  kind.dtype = layout.dtype;
  kind.one_per_row = layout.one_per_row;
  kind.names = std::move(layout.names);
  kind.by_worker = std::move(layout.by_worker);
  return kind;
}

size_t StateExtent::Width(const StateInfo& kind, size_t tensor) const {
  const bool one = row_elements == 0 || (kind.one_per_row && kind.names[tensor] != "master");
  return DTypeBytes(kind.dtype) * (one ? 1 : static_cast<size_t>(row_elements));
}

StateCursor After(const StatePage& page, const StateExtent& extent) {
  if (page.to < extent.units) return {page.tensor, page.to, false};
  return {page.tensor + 1, 0, false};
}

absl::StatusOr<StatePage> ReadState(const StateInfo& kind, const UpdaterState* state,
                                    uint64_t elements, const StateCursor& from) {
  StatePage page;
  page.info = kind;
  page.info.kept = state != nullptr && IsKind(state->names, state->dtype, kind);
  if (page.info.kept) {
    page.info.updates = state->updates;
    page.info.names = state->names;  // those of workers, too
  }
  KVS_RETURN_IF_ERROR(CheckCursor(page.info, elements, from));
  if (from.info_only || !page.info.kept || page.info.names.empty()) return page;
  const size_t width = DTypeBytes(kind.dtype);
  page.tensor = from.tensor;
  page.from = from.from;
  page.to = std::min<uint64_t>(elements, from.from + kStatePageBytes / width);
  page.more = MoreAfter(page.info, page.tensor, page.to, elements);
  // A copy, as an update overwrites it.
  const auto bytes = std::make_shared<Buffer>(static_cast<size_t>(page.to - page.from) * width);
  if (bytes->size() > 0) {
    std::memcpy(bytes->data(), state->tensors[page.tensor]->data() + page.from * width,
                bytes->size());
  }
  page.data = Payload(BufferPtr(bytes));
  return page;
}

absl::StatusOr<StatePage> ReadState(const StateInfo& kind, const RowState* state,
                                    const StateExtent& extent, const StateCursor& from) {
  StatePage page;
  page.info = kind;
  page.info.kept = state != nullptr && IsKind(state->layout.names, state->layout.dtype, kind) &&
                   state->layout.one_per_row == kind.one_per_row;
  if (page.info.kept) page.info.updates = state->updates;
  KVS_RETURN_IF_ERROR(CheckCursor(page.info, extent.units, from));
  if (from.info_only || !page.info.kept || kind.names.empty()) return page;
  const size_t width = extent.Width(kind, from.tensor);
  const size_t most = std::max<size_t>(kStatePageBytes / (width + kIdBytes), 1);
  std::vector<int64_t> rows = KeptRows(*state, static_cast<int64_t>(from.from),
                                       static_cast<int64_t>(extent.units), most + 1);
  page.tensor = from.tensor;
  page.from = from.from;
  page.to = extent.units;
  if (rows.size() > most) {
    page.to = static_cast<uint64_t>(rows.back());
    rows.pop_back();
  }
  page.more = MoreAfter(kind, page.tensor, page.to, extent.units);
  page.rows = static_cast<uint32_t>(rows.size());
  const auto bytes = std::make_shared<Buffer>(rows.size() * (kIdBytes + width));
  if (!rows.empty()) std::memcpy(bytes->data(), rows.data(), rows.size() * kIdBytes);
  state->tensors[page.tensor].Gather(rows.data(), rows.size(),
                                     bytes->data() + rows.size() * kIdBytes);
  page.data = Payload(BufferPtr(bytes));
  return page;
}

// ---- pages that come

absl::Status StagedPages::Check(std::string_view label, const StateInfo& kind,
                                const StateExtent& extent, const StatePage& page) const {
  const StateInfo& info = page.info;
  if (!info.SameKind(kind)) {
    return absl::FailedPreconditionError(
        fmt::format("{}: state of {} expected, got {}", label, Described(kind), Described(info)));
  }
  const bool first = page.tensor == 0 && page.from == 0;
  const auto is = [&](const StateCursor& at) {
    return page.tensor == at.tensor && page.from == at.from;
  };
  const bool again = begun_ && is(last_);
  if (!first && !again && (!begun_ || whole_ || !is(next_))) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: state: the page of tensor {} from {} on expected next, got tensor {} from {} on",
        label, next_.tensor, next_.from, page.tensor, page.from));
  }
  if (!first &&
      (info.updates != info_.updates || info.kept != info_.kept || info.names != info_.names)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: state: pages of one state expected, got one after {} updates and one "
                    "after {}",
                    label, info_.updates, info.updates));
  }
  const bool has_numbers = info.kept && !info.names.empty();
  const uint64_t units = has_numbers ? extent.units : 0;
  const bool more = has_numbers && MoreAfter(info, page.tensor, page.to, units);
  size_t bytes = 0;
  if (has_numbers && page.tensor < info.names.size()) {
    const size_t width = extent.Width(info, page.tensor);
    bytes = extent.row_elements == 0 ? static_cast<size_t>(page.to - page.from) * width
                                     : page.rows * (kIdBytes + width);
  }
  const bool tensor = page.tensor < std::max<size_t>(info.names.size(), 1);
  if (!tensor || page.to > units || (extent.row_elements == 0 && page.rows != 0) ||
      page.more != more || page.data.size() != bytes || (page.to == page.from && units > 0)) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: state: {} bytes of numbers {} to {} of {} and {} expected, got {} bytes and {} of "
        "tensor {}",
        label, bytes, page.from, page.to, units, more ? "more pages" : "no more pages",
        page.data.size(), page.more ? "more" : "no more", page.tensor));
  }
  return absl::OkStatus();
}

void StagedPages::Took(const StatePage& page, const StateExtent& extent) {
  begun_ = true;
  whole_ = !page.more;
  info_ = page.info;
  last_ = {page.tensor, page.from, false};
  next_ = After(page, extent);
}

absl::Status StagedDenseState::Add(std::string_view label, const StateInfo& kind, uint64_t elements,
                                   const StatePage& page) {
  const StateExtent extent{elements, 0};
  KVS_RETURN_IF_ERROR(pages_.Check(label, kind, extent, page));
  const StateInfo& info = page.info;
  if (page.tensor == 0 && page.from == 0) {
    pages_ = StagedPages();
    state_.reset();
    if (info.kept) {
      auto state = std::make_unique<UpdaterState>();
      state->names = info.names;
      state->dtype = info.dtype;
      state->updates = info.updates;
      const size_t bytes = static_cast<size_t>(elements) * DTypeBytes(info.dtype);
      for (size_t i = 0; i < info.names.size(); ++i) {
        state->tensors.push_back(std::make_shared<Buffer>(bytes));
      }
      state_ = std::move(state);
    }
  }
  if (!page.data.empty()) {
    page.data.CopyTo(state_->tensors[page.tensor]->data() + page.from * DTypeBytes(info.dtype));
  }
  pages_.Took(page, extent);
  return absl::OkStatus();
}

absl::Status StagedRowState::Add(std::string_view label, const StateInfo& kind,
                                 const StateExtent& extent, const StatePage& page) {
  KVS_RETURN_IF_ERROR(pages_.Check(label, kind, extent, page));
  const StateInfo& info = page.info;
  std::vector<int64_t> rows(page.rows);
  PayloadCursor cursor(page.data);
  KVS_CHECK(cursor.Read(rows.data(), rows.size() * kIdBytes));
  auto above = static_cast<int64_t>(page.from) - 1;
  for (const int64_t row : rows) {
    if (row <= above || row >= static_cast<int64_t>(page.to)) {
      return absl::InvalidArgumentError(fmt::format("{}: state: a row of {} to {} expected, got {}",
                                                    label, above + 1, page.to, row));
    }
    above = row;
  }
  if (page.tensor == 0 && page.from == 0) {
    pages_ = StagedPages();
    state_.reset();
    rows_.clear();
    if (info.kept) {
      auto state = std::make_unique<RowState>();
      state->layout = {info.names, info.dtype, info.one_per_row, info.counted};
      state->updates = info.updates;
      for (size_t i = 0; i < info.names.size(); ++i) {
        state->tensors.emplace_back(static_cast<int64_t>(extent.units), extent.Width(info, i));
      }
      state_ = std::move(state);
    }
  }
  // The first tensor says which rows there are; the last of its pages may have come before.
  const auto from = std::lower_bound(rows_.begin(), rows_.end(), static_cast<int64_t>(page.from));
  if (page.tensor == 0) {
    const auto known = static_cast<size_t>(from - rows_.begin());
    rows_.reserve(known + rows.size());
    rows_.resize(known);
  } else if (!std::includes(from, rows_.end(), rows.begin(), rows.end())) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: state: rows that tensor 0 has expected of tensor {}, got others", label, page.tensor));
  }
  if (!rows.empty()) {
    RowTable& tensor = state_->tensors[page.tensor];
    for (const int64_t row : rows) KVS_CHECK(cursor.Read(tensor.Touch(row), tensor.row_bytes()));
    if (page.tensor == 0) rows_.insert(rows_.end(), rows.begin(), rows.end());
  }
  pages_.Took(page, extent);
  return absl::OkStatus();
}

}  // namespace kvstore
