#include "client/store/key_states.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/rows/row_cut.h"

namespace kvstore {
namespace {

constexpr size_t kIdBytes = sizeof(int64_t);

uint64_t FirstElement(const ValueSpec& spec, PartIndex part) {
  return PartOffset(part) / DTypeBytes(spec.dtype);
}

}  // namespace

size_t KeyStates::TensorBytes(const ValueSpec& spec, const StateInfo& info, size_t tensor) {
  if (!spec.row_sparse) {
    return static_cast<size_t>(spec.bytes / DTypeBytes(spec.dtype)) * DTypeBytes(info.dtype);
  }
  return StateExtent{0, RowShapeOf(spec.shape, spec.dtype).row_elements}.Width(info, tensor);
}

StateExtent StateCut::Extent(PartIndex part) const {
  if (!spec->row_sparse) return {PartBytes(spec->bytes, part) / DTypeBytes(spec->dtype), 0};
  RowShape shape = RowShapeOf(spec->shape, spec->dtype);
  shape.stripes = parts;
  // Tables have a row at least (server/values/row_value.h).
  const int64_t rows = parts == 1 ? shape.rows : std::max<int64_t>(shape.RowsIn(part), 1);
  return {static_cast<uint64_t>(rows), shape.row_elements};
}

StateCollector::StateCollector(std::string label, const ValueSpec& spec, PartIndex parts)
    : label_(std::move(label)), spec_(spec), cut_{&spec_, parts}, pages_(parts) {
  if (spec_.row_sparse) stripes_.resize(parts);
}

absl::StatusOr<std::optional<StateCursor>> StateCollector::Add(PartIndex part, Round version,
                                                               const StatePage& page) {
  if (!begun_) {
    info_ = page.info;
    info_.kept = false;
    version_ = version;
    begun_ = true;
  }
  if (version != version_) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: one version of all parts expected, got {} and {}: pushes are under way, or it has "
        "failed; meet in a Barrier() before",
        label_, version_, version));
  }
  if (page.info.names != info_.names && page.info.SameKind(info_)) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: what all parts keep of the same workers expected, got {} and {}: an update of some "
        "parts has failed",
        label_, Described(info_), Described(page.info)));
  }
  const StateExtent extent = cut_.Extent(part);
  const absl::Status fits =
      pages_[part].Check(fmt::format("{} part {}", label_, part), info_, extent, page);
  if (!fits.ok()) return absl::InternalError(fits.message());
  KVS_RETURN_IF_ERROR(spec_.row_sparse ? TakeRows(part, page) : TakeDense(part, page));
  info_.kept |= page.info.kept;
  pages_[part].Took(page, extent);
  if (!page.more) return std::nullopt;
  return After(page, extent);
}

absl::Status StateCollector::TakeDense(PartIndex part, const StatePage& page) {
  if (!page.info.kept || info_.names.empty()) return absl::OkStatus();
  if (tensors_.empty()) {
    for (size_t i = 0; i < info_.names.size(); ++i) {
      auto tensor = std::make_shared<Buffer>(KeyStates::TensorBytes(spec_, info_, i));
      if (tensor->size() > 0) std::memset(tensor->data(), 0, tensor->size());
      tensors_.push_back(std::move(tensor));
    }
  }
  const uint64_t first = FirstElement(spec_, part) + page.from;
  page.data.CopyTo(tensors_[page.tensor]->data() + first * DTypeBytes(info_.dtype));
  return absl::OkStatus();
}

absl::Status StateCollector::TakeRows(PartIndex part, const StatePage& page) {
  if (!page.info.kept || info_.names.empty()) return absl::OkStatus();
  Stripe& stripe = stripes_[part];
  stripe.tensors.resize(info_.names.size());
  std::string& tensor = stripe.tensors[page.tensor];
  const size_t width = cut_.Extent(part).Width(info_, page.tensor);
  std::vector<int64_t> rows(page.rows);
  PayloadCursor cursor(page.data);
  cursor.Read(rows.data(), rows.size() * kIdBytes);
  const size_t have = tensor.size() / width;
  auto above = static_cast<int64_t>(page.from) - 1;
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool known =
        page.tensor == 0 || (have + i < stripe.rows.size() && stripe.rows[have + i] == rows[i]);
    if (rows[i] <= above || rows[i] >= static_cast<int64_t>(page.to) || !known) {
      return absl::InternalError(
          fmt::format("{} part {}: state: ascending rows that all tensors have expected, got row "
                      "{} of tensor {}",
                      label_, part, rows[i], page.tensor));
    }
    above = rows[i];
  }
  tensor.resize(tensor.size() + rows.size() * width);
  cursor.Read(tensor.data() + have * width, rows.size() * width);
  if (page.tensor == 0) stripe.rows.insert(stripe.rows.end(), rows.begin(), rows.end());
  return absl::OkStatus();
}

absl::StatusOr<KeyStates> StateCollector::Finish() {
  KeyStates states;
  states.info = info_;
  for (const StagedPages& each : pages_) {
    states.updates.push_back(each.info().kept ? each.info().updates : 0);
  }
  if (std::all_of(states.updates.begin(), states.updates.end(),
                  [&](uint64_t updates) { return updates == states.updates[0]; })) {
    states.updates.resize(1);
  }
  if (!info_.kept) return states;
  for (const MutableBufferPtr& tensor : tensors_) {
    states.tensors.push_back({tensor->data(), tensor->size(), tensor});
  }
  if (!spec_.row_sparse) return states;
  // The rows of all stripes, in the order of their numbers within the value.
  struct Row {
    int64_t row = 0;
    PartIndex stripe = 0;
    size_t place = 0;
  };
  std::vector<Row> rows;
  for (PartIndex part = 0; part < cut_.parts; ++part) {
    const std::vector<int64_t>& own = stripes_[part].rows;
    for (size_t i = 0; i < own.size(); ++i) {
      rows.push_back(
          {own[i] * static_cast<int64_t>(cut_.parts) + static_cast<int64_t>(part), part, i});
    }
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.row < b.row; });
  for (const Row& each : rows) states.rows.push_back(each.row);
  for (size_t i = 0; i < info_.names.size(); ++i) {
    const size_t width = KeyStates::TensorBytes(spec_, info_, i);
    for (Stripe& stripe : stripes_) {
      stripe.tensors.resize(info_.names.size());
      if (stripe.tensors[i].size() == stripe.rows.size() * width) continue;
      return absl::InternalError(
          fmt::format("{}: state: {} rows of each tensor expected, got {} bytes of tensor {}",
                      label_, stripe.rows.size(), stripe.tensors[i].size(), i));
    }
    const auto tensor = std::make_shared<Buffer>(rows.size() * width);
    for (size_t place = 0; place < rows.size(); ++place) {
      std::memcpy(tensor->data() + place * width,
                  stripes_[rows[place].stripe].tensors[i].data() + rows[place].place * width,
                  width);
    }
    states.tensors.push_back({tensor->data(), tensor->size(), tensor});
    for (Stripe& stripe : stripes_) std::string().swap(stripe.tensors[i]);
  }
  return states;
}

// ---- and apart again

absl::Status CheckUpdates(const std::string& label, const KeyStates& states, PartIndex parts) {
  if (states.updates.size() == 1 || states.updates.size() == parts) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "{}: states of parts that were updated equally often expected where the value has {} parts, "
      "got {} parts with counts of their own (updates of some have failed)",
      label, parts, states.updates.size()));
}

StateCutter::StateCutter(const KeyStates& states, const ValueSpec& spec, PartIndex parts)
    : states_(states), spec_(spec), cut_{&spec_, parts}, places_(spec.row_sparse ? parts : 0) {
  for (size_t i = 0; i < states_.rows.size() && spec_.row_sparse; ++i) {
    places_[static_cast<PartIndex>(static_cast<uint64_t>(states_.rows[i]) % parts)].push_back(i);
  }
}

StatePage StateCutter::PageAt(PartIndex part, const StateCursor& from) const {
  StatePage page;
  page.info = states_.info;
  page.info.updates = !page.info.kept ? 0 : states_.updates[states_.updates.size() == 1 ? 0 : part];
  if (!page.info.kept || page.info.names.empty()) return page;
  const StateExtent extent = cut_.Extent(part);
  const size_t width = extent.Width(page.info, from.tensor);
  const Slice& tensor = states_.tensors[from.tensor];
  page.tensor = from.tensor;
  page.from = from.from;
  if (!spec_.row_sparse) {
    page.to = std::min<uint64_t>(extent.units, from.from + kStatePageBytes / width);
    const uint64_t first = FirstElement(spec_, part) + page.from;
    page.data = Payload(Slice{tensor.data + first * width,
                              static_cast<size_t>(page.to - page.from) * width, tensor.owner});
  } else {
    const auto parts = static_cast<int64_t>(cut_.parts);
    const std::vector<size_t>& places = places_[part];
    const auto local = [&](size_t place) { return states_.rows[place] / parts; };
    const auto begin =
        std::lower_bound(places.begin(), places.end(), static_cast<int64_t>(from.from),
                         [&](size_t place, int64_t row) { return local(place) < row; });
    const size_t most = std::max<size_t>(kStatePageBytes / (width + kIdBytes), 1);
    const auto count = std::min<size_t>(most, static_cast<size_t>(places.end() - begin));
    const auto end = begin + static_cast<std::ptrdiff_t>(count);
    page.to = end == places.end() ? extent.units : static_cast<uint64_t>(local(*end));
    page.rows = static_cast<uint32_t>(count);
    const auto bytes = std::make_shared<Buffer>(count * (kIdBytes + width));
    uint8_t* ids = bytes->data();
    uint8_t* rows = bytes->data() + count * kIdBytes;
    for (auto place = begin; place != end; ++place) {
      const int64_t row = local(*place);
      std::memcpy(ids, &row, kIdBytes);
      std::memcpy(rows, tensor.data + *place * width, width);
      ids += kIdBytes;
      rows += width;
    }
    page.data = Payload(BufferPtr(bytes));
  }
  page.more = page.to < extent.units || page.tensor + 1 < page.info.names.size();
  return page;
}

std::optional<StateCursor> StateCutter::Next(PartIndex part, const StatePage& page) const {
  if (!page.more) return std::nullopt;
  return After(page, cut_.Extent(part));
}

}  // namespace kvstore
