#include "client/local/local_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "common/base/status_macros.h"
#include "common/kernels/convert.h"
#include "common/kernels/kernels.h"
#include "common/rows/row_norms.h"

namespace kvstore {
namespace {

// Rows that one of several threads copies at a time.
constexpr size_t kRowsBlockBytes = 256 << 10;

}  // namespace

LocalRows::LocalRows(const ValueSpec& spec, const NDArray& value, CodecPtr codec)
    : spec_(spec),
      codec_(std::move(codec)),
      shape_(RowShapeOf(spec.shape, spec.dtype)),
      table_(shape_.rows, shape_.row_bytes) {
  const Rows rows = RowsOf(value);
  table_.Scatter(rows.ids, rows.count, rows.data);
}

LocalRows::LocalRows(const ValueSpec& spec, const InitialValues& rule, uint64_t rows_max,
                     CodecPtr codec)
    : spec_(spec),
      codec_(std::move(codec)),
      shape_(RowShapeOf(spec.shape, spec.dtype)),
      rows_max_(rows_max),
      table_(shape_.rows, shape_.row_bytes, RowRule{rule, shape_.row_elements}) {}

absl::Status LocalRows::CheckRoom(absl::Span<const NDArray> values) const {
  if (rows_max_ == 0) return absl::OkStatus();
  std::vector<int64_t> fresh;
  for (const NDArray& value : values) {
    const Rows rows = RowsOf(value);
    std::copy_if(rows.ids, rows.ids + rows.count, std::back_inserter(fresh),
                 [this](int64_t row) { return table_.Find(row) == nullptr; });
  }
  std::sort(fresh.begin(), fresh.end());
  const auto end = std::unique(fresh.begin(), fresh.end());
  const uint64_t rows = table_.pages() + static_cast<uint64_t>(end - fresh.begin());
  if (rows <= rows_max_) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format(
      "at most {} rows written expected (rows_max), {} are, and with this push there would be {}",
      rows_max_, table_.pages(), rows));
}

LocalRows::Encoded LocalRows::Prepare(size_t place, KeyId key, const Rows& rows) {
  if (place == encoders_.size()) {
    encoders_.push_back(std::make_unique<RowEncoder>(codec_, key, static_cast<uint32_t>(place),
                                                     spec_.dtype, shape_));
  }
  Encoded encoded;
  encoded.encoder = encoders_[place].get();
  encoded.rows = rows;
  encoded.fragments = CutRows(shape_, rows, /*list_ids=*/true);
  for (const RowFragment& each : encoded.fragments) {
    if (each.rows == 0) continue;
    encoded.blocks.push_back({each.stripe, each.fragment, each.rows, each.data->data(), nullptr});
  }
  encoded.encoder->MakeRoom(&encoded.blocks);
  encoded.encoder->KeepForUndo(encoded.blocks);
  return encoded;
}

std::vector<uint8_t> LocalRows::Decoded(const Encoded& encoded) const {
  const Rows& rows = encoded.rows;
  const size_t row_bytes = shape_.row_elements * DTypeBytes(AccumulatorOf(spec_.dtype));
  std::vector<uint8_t> by_stripe(rows.count * row_bytes), in_order(rows.count * row_bytes);
  std::vector<const uint8_t*> next(shape_.stripes);  // row of each stripe
  uint8_t* to = by_stripe.data();
  for (const RowBlock& block : encoded.blocks) {
    if (block.fragment == 0) next[block.stripe] = to;
    codec_->Decode(spec_.dtype, block.encoded->data() + block.rows * sizeof(int64_t),
                   block.rows * shape_.row_elements, /*add=*/false, to);
    to += block.rows * row_bytes;
  }
  for (size_t i = 0; i < rows.count; ++i) {
    const uint8_t*& from = next[shape_.StripeOf(rows.ids[i])];
    std::memcpy(in_order.data() + i * row_bytes, from, row_bytes);
    from += row_bytes;
  }
  return in_order;
}

template <typename Use>
absl::Status LocalRows::WithSum(KeyId key, absl::Span<const NDArray> values, const Reducer& reducer,
                                const Use& use) {
  if (codec_ == nullptr) {
    KVS_ASSIGN_OR_RETURN(RowSum sum, reducer.FoldRows(spec_, values));
    return use(sum);
  }
  std::vector<Encoded> all;
  all.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) all.push_back(Prepare(i, key, RowsOf(values[i])));
  for (const Encoded& each : all) each.encoder->Encode(each.blocks);
  try {
    RowSum sum(AccumulatorOf(spec_.dtype), shape_.row_elements);
    for (const Encoded& each : all) {
      const std::vector<uint8_t> bytes = Decoded(each);
      sum.Fold(each.rows.ids, each.rows.count, Payload(Slice{bytes.data(), bytes.size(), {}}));
    }
    return use(sum);
  } catch (const std::bad_alloc&) {
    for (const Encoded& each : all) each.encoder->Undo(each.blocks);
    throw;
  }
}

absl::Status LocalRows::Push(KeyId key, std::string_view name, absl::Span<const NDArray> values,
                             const PartUpdater& updater, uint64_t step, Reducer* reducer) {
  KVS_RETURN_IF_ERROR(CheckRoom(values));
  const RoundCounts counts{1, 1, step};
  BlockThreads& threads = reducer->threads();
  const auto run = [&threads](size_t blocks, BlockRunner::Work work) {
    threads
        .Run(blocks, [&](size_t block, size_t seat) { return work(block, seat), absl::OkStatus(); })
        .IgnoreError();  // there is none
  };
  return WithSum(key, values, *reducer, [&](RowSum& sum) {
    // All stripes are in one table here; the norms are added up stripe by stripe, as servers do it.
    KVS_ASSIGN_OR_RETURN(const NormSums norms,
                         MeasureWholeRows(updater, name,
                                          {key, spec_.dtype, &table_, &sum, state_.get(),
                                           static_cast<uint64_t>(shape_.stripes), counts}));
    return UpdateRows(updater, key, spec_.dtype, table_, sum, &state_, {}, counts, norms,
                      {threads.seats(), run});
  });
}

absl::Status LocalRows::Push(KeyId key, absl::Span<const NDArray> values, const WholeUpdate& update,
                             const Reducer& reducer) {
  KVS_RETURN_IF_ERROR(CheckRoom(values));
  if (values.size() == 1 && values[0].storage_type() == StorageType::kRowSparse &&
      codec_ == nullptr) {
    return UpdateBy(MakeDetachedRows(values[0].data(), values[0].indices(), spec_.shape,
                                     ToDataType(spec_.dtype)),
                    update);
  }
  return WithSum(key, values, reducer,
                 [&](const RowSum& sum) { return UpdateBy(ArrayOf(spec_, sum), update); });
}

absl::Status LocalRows::UpdateBy(const NDArray& merged, const WholeUpdate& update) {
  const std::vector<int64_t> rows = merged.indices();
  const NDArray seen = MakeRowSparseArray(spec_.shape, ToDataType(spec_.dtype));
  table_.Gather(rows.data(), rows.size(), seen.impl()->SetRows(rows));
  for (const int64_t row : rows) table_.Touch(row);  // memory for all before any is written
  NDArray stored = seen;  // if the updater assigns another array to it, that has no effect
  if (absl::Status updated = update(merged, &stored); !updated.ok()) return updated;
  table_.Scatter(rows.data(), rows.size(), seen.data_as<uint8_t>());
  return absl::OkStatus();
}

absl::StatusOr<StatePage> LocalRows::ReadState(PartIndex, const StateInfo& kind,
                                               const StateCursor& from) const {
  return kvstore::ReadState(kind, state_.get(),
                            {static_cast<uint64_t>(table_.rows()), shape_.row_elements}, from);
}

absl::Status LocalRows::StageState(PartIndex, const StateInfo& kind, const StatePage& page) {
  if (staged_ == nullptr) staged_ = std::make_unique<StagedRowState>();
  KVS_RETURN_IF_ERROR(staged_->Add(
      "rows", kind, {static_cast<uint64_t>(table_.rows()), shape_.row_elements}, page));
  if (!staged_->whole()) return absl::OkStatus();
  const std::vector<int64_t>& rows = staged_->rows();
  if (rows_max_ != 0 &&
      table_.pages() + table_.PagesMissing(rows.data(), rows.size()) > rows_max_) {
    staged_.reset();
    return absl::ResourceExhaustedError(
        fmt::format("at most {} rows written expected (rows_max), with those of the states there "
                    "would be more",
                    rows_max_));
  }
  // Memory for what CommitState touches; pages that are zero are as if they were not there.
  for (size_t i = 0; i < rows.size() && !table_.by_rule(); ++i) table_.Touch(rows[i]);
  return absl::OkStatus();
}

absl::Status LocalRows::CommitState() {
  if (staged_ == nullptr || !staged_->whole()) {
    return absl::FailedPreconditionError("all pages of a state expected, they have not come");
  }
  // An update that is not lazy visits the rows of the value that exist, and no others.
  for (const int64_t row : staged_->rows()) table_.Touch(row);
  // From here on nothing is allocated.
  state_ = staged_->Take();
  staged_.reset();
  return absl::OkStatus();
}

void LocalRows::Reset() noexcept {
  encoders_.clear();
  staged_.reset();
  state_.reset();
}

void LocalRows::CopyTo(const NDArray& output, BlockThreads* threads) const {
  if (output.storage_type() == StorageType::kRowSparse) {
    return CopyRows(table_.KeptRows(), output, threads);
  }
  Fill(output.data_as<uint8_t>(), static_cast<size_t>(output.size()), output,
       [this](uint8_t* values) { table_.CopyTo(values); });
}

void LocalRows::CopyRows(std::vector<int64_t> ids, const NDArray& output,
                         BlockThreads* threads) const {
  const size_t elements = ids.size() * shape_.row_elements;
  uint8_t* const out = output.impl()->SetRows(std::move(ids));
  const std::vector<int64_t>& rows = output.impl()->indices;
  const size_t in_block = std::max<size_t>(kRowsBlockBytes / shape_.row_bytes, 1);
  Fill(out, elements, output, [&](uint8_t* values) {
    const auto gather = [&](size_t block, size_t) {
      const size_t begin = block * in_block;
      table_.Gather(&rows[begin], std::min(in_block, rows.size() - begin),
                    values + begin * shape_.row_bytes);
      return absl::OkStatus();
    };
    threads->Run((rows.size() + in_block - 1) / in_block, gather).IgnoreError();  // there is none
  });
}

template <typename Read>
void LocalRows::Fill(uint8_t* out, size_t elements, const NDArray& output, const Read& read) const {
  const DType to = ToDType(output.dtype());
  std::vector<uint8_t> values(to == spec_.dtype ? 0 : elements * DTypeBytes(spec_.dtype));
  uint8_t* const stored = to == spec_.dtype ? out : values.data();
  read(stored);
  Round(stored, elements);
  if (stored != out) Convert(spec_.dtype, stored, to, out, elements);
}

// What a server would answer, and a worker make of it.
void LocalRows::Round(uint8_t* values, size_t elements) const {
  if (codec_ == nullptr || !codec_->encodes_pulls() || elements == 0) return;
  Payload answer = EncodeValues(*codec_, spec_.dtype, values, elements);
  DecodeValues(*codec_, spec_.dtype, std::move(answer), elements).CopyTo(values);
}

}  // namespace kvstore
