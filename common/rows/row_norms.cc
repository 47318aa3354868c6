#include "common/rows/row_norms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

using RowList = std::vector<int64_t>;

RowList Union(const RowList& a, const RowList& b) {
  RowList both;
  both.reserve(a.size() + b.size());
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

// The rows of a sum, ascending, and where each is among them.
std::vector<std::pair<int64_t, size_t>> PlacesOf(const RowSum& sum) {
  std::vector<std::pair<int64_t, size_t>> places;
  places.reserve(sum.rows().size());
  for (size_t i = 0; i < sum.rows().size(); ++i) places.emplace_back(sum.rows()[i], i);
  std::sort(places.begin(), places.end());
  return places;
}

// Rows that follow each other in a stripe, put side by side.
class Gathered {
 public:
  Gathered(const MeasuredTable& measured, const RowState* state)
      : measured_(measured),
        state_(state),
        places_(PlacesOf(*measured.sum)),
        next_(places_.begin()) {}

  // From row 0 on again.
  void Rewind() { next_ = places_.begin(); }
  const std::vector<std::pair<int64_t, size_t>>& places() const { return places_; }

  // Adds `count` rows to `measure`.
  void Measure(const PartUpdater& updater, const Measuring& measuring, const int64_t* rows,
               size_t count, NormMeasure* measure) {
    const RowTable& table = *measured_.table;
    value_.resize(count * table.row_bytes());
    table.Gather(rows, count, value_.data());
    GatherSums(rows, count);
    const size_t tensors = state_ == nullptr ? 0 : state_->tensors.size();
    kept_.resize(tensors);
    for (size_t k = 0; k < tensors; ++k) {
      kept_[k].resize(count * state_->tensors[k].row_bytes());
      state_->tensors[k].Gather(rows, count, kept_[k].data());
    }
    const size_t all = count * measured_.sum->row_elements();
    std::vector<const uint8_t*> arrays(tensors);
    for (size_t i = 0; i < all; i += Updater::kMeasuredMax) {
      for (size_t k = 0; k < tensors; ++k) {
        arrays[k] = kept_[k].data() + i * DTypeBytes(state_->layout.dtype);
      }
      updater.MeasureRows(measuring,
                          {std::min(Updater::kMeasuredMax, all - i),
                           value_.data() + i * DTypeBytes(measured_.dtype),
                           sums_.data() + i * DTypeBytes(AccumulatorOf(measured_.dtype)),
                           state_ == nullptr ? nullptr : arrays.data()},
                          measure);
    }
  }

 private:
  void GatherSums(const int64_t* rows, size_t count) {
    const size_t row_bytes = measured_.sum->row_sum_bytes();
    sums_.assign(count * row_bytes, 0);
    for (size_t i = 0; i < count; ++i) {
      while (next_ != places_.end() && next_->first < rows[i]) ++next_;
      if (next_ == places_.end() || next_->first != rows[i]) continue;
      std::memcpy(sums_.data() + i * row_bytes, measured_.sum->sums() + next_->second * row_bytes,
                  row_bytes);
    }
  }

  const MeasuredTable& measured_;
  const RowState* const state_;
  const std::vector<std::pair<int64_t, size_t>> places_;
  std::vector<std::pair<int64_t, size_t>>::const_iterator next_;
  std::vector<uint8_t> value_;
  std::vector<uint8_t> sums_;
  std::vector<std::vector<uint8_t>> kept_;
};

// All rows that may add something, ascending.
RowList RowsToMeasure(const PartUpdater& updater, const MeasuredTable& measured,
                      const RowState* state,
                      const std::vector<std::pair<int64_t, size_t>>& places) {
  RowList rows = measured.table->KeptRows();
  RowList summed;
  summed.reserve(places.size());
  for (const auto& [row, place] : places) summed.push_back(row);
  rows = Union(rows, summed);
  if (state == nullptr) return rows;
  for (size_t k = 0; k < state->tensors.size(); ++k) {
    // A value of zeros may have a master that is not; and a row that is zero, without a sum, makes
    // a step by its momentum where all rows are updated.
    if (updater.lazy_update() && state->layout.names[k] != "master") continue;
    rows = Union(rows, state->tensors[k].KeptRows());
  }
  return rows;
}

}  // namespace

absl::StatusOr<NormSums> MeasureRows(const PartUpdater& updater, size_t step,
                                     const MeasuredTable& measured, const NormSums& norms) {
  KVS_RETURN_IF_ERROR(updater.CheckRows(measured.dtype));
  if (const RowRule* const rule = measured.table->rule();
      rule != nullptr && !rule->values.zeros()) {
    return absl::InvalidArgumentError(fmt::format(
        "optimizer '{}': a key whose rows are zeros until they are written expected, as its norm "
        "is that of all rows, got one by the rule {}",
        updater.config().name, InitRuleString(rule->values.rule())));
  }
  const StateLayout layout = updater.LayoutFor(measured.dtype);
  KVS_CHECK(!layout.one_per_row);
  const RowState* const state =
      layout.keeps_state() && FitsLayout(measured.state, layout) ? measured.state : nullptr;
  Measuring measuring;
  measuring.step = step;
  measuring.key = measured.key;
  measuring.dtype = measured.dtype;
  measuring.update = state == nullptr ? 1 : state->updates + 1;
  measuring.counts = measured.counts;
  measuring.norms = norms;

  Gathered gathered(measured, state);
  const RowList all = RowsToMeasure(updater, measured, state, gathered.places());
  const auto stripes = static_cast<int64_t>(measured.stripes);
  std::vector<RowList> by_stripe(measured.stripes);
  for (const int64_t row : all) by_stripe[static_cast<size_t>(row % stripes)].push_back(row);
  const size_t width = measured.sum->row_elements();
  const size_t most = std::max<size_t>(Updater::kMeasuredMax / width, 1);
  NormSums sums;
  for (const RowList& rows : by_stripe) {
    gathered.Rewind();
    NormMeasure measure;
    uint64_t next = 0;  // the element of the stripe that comes next
    for (size_t i = 0, count = 0; i < rows.size(); i += count) {
      count = 1;
      while (i + count < rows.size() && count < most &&
             rows[i + count] == rows[i + count - 1] + stripes) {
        ++count;
      }
      const uint64_t first = static_cast<uint64_t>(rows[i] / stripes) * width;
      for (SquareSum& each : measure) each.Skip(first - next);
      gathered.Measure(updater, measuring, &rows[i], count, &measure);
      next = first + count * width;
    }
    sums += TotalOf(measure);
  }
  return sums;
}

absl::StatusOr<NormSums> MeasureWholeRows(const PartUpdater& updater, std::string_view key_name,
                                          const MeasuredTable& measured) {
  NormSums norms;
  for (size_t step = 0; step < updater.Measurings(key_name); ++step) {
    KVS_ASSIGN_OR_RETURN(const NormSums found, MeasureRows(updater, step, measured, norms));
    norms += found;
  }
  return norms;
}

}  // namespace kvstore
