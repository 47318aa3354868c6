#include "client/local/local_rows.h"

#include <cstring>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/store/row_requests.h"
#include "common/kernels/kernels.h"

namespace kvstore {

LocalRows::LocalRows(const ValueSpec& spec, const NDArray& value, CodecPtr codec)
    : spec_(spec),
      codec_(std::move(codec)),
      shape_(RowShapeOf(spec.shape, spec.dtype)),
      table_(shape_.rows, shape_.row_bytes) {
  const Rows rows = RowsOf(value);
  table_.Scatter(rows.ids, rows.count, rows.data);
}

std::vector<uint8_t> LocalRows::Compressed(RowEncoder* encoder, const Rows& rows) const {
  const std::vector<RowFragment> fragments = CutRows(shape_, rows);
  std::vector<RowBlock> blocks;
  for (const RowFragment& each : fragments) {
    if (each.rows == 0) continue;
    blocks.push_back({each.stripe, each.fragment, each.rows, each.data->data(), nullptr});
  }
  const size_t row_bytes = shape_.row_elements * DTypeBytes(AccumulatorOf(spec_.dtype));
  std::vector<uint8_t> by_stripe(rows.count * row_bytes), in_order(rows.count * row_bytes);
  std::vector<const uint8_t*> next(shape_.stripes);  // row of each stripe
  encoder->MakeRoom(&blocks);
  encoder->Encode(blocks);
  uint8_t* to = by_stripe.data();
  for (const RowBlock& block : blocks) {
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

RowSum LocalRows::Fold(KeyId key, const std::vector<NDArray>& values) {
  if (codec_ == nullptr) return FoldRows(spec_, values);
  while (encoders_.size() < values.size()) {
    encoders_.push_back(std::make_unique<RowEncoder>(
        codec_, key, static_cast<uint32_t>(encoders_.size()), spec_.dtype, shape_));
  }
  RowSum sum(AccumulatorOf(spec_.dtype), shape_.row_elements);
  for (size_t i = 0; i < values.size(); ++i) {
    const Rows rows = RowsOf(values[i]);
    const std::vector<uint8_t> bytes = Compressed(encoders_[i].get(), rows);
    sum.Fold(rows.ids, rows.count, Payload(Slice{bytes.data(), bytes.size(), {}}));
  }
  return sum;
}

absl::Status LocalRows::Push(KeyId key, const std::vector<NDArray>& values,
                             const PartUpdater& updater) {
  RowSum sum = Fold(key, values);
  return UpdateRows(updater, key, spec_.dtype, table_, sum, &state_);
}

absl::Status LocalRows::Push(KeyId key, const std::vector<NDArray>& values,
                             const WholeUpdate& update) {
  const DataType dtype = ToDataType(spec_.dtype);
  NDArray merged;
  if (values.size() == 1 && values[0].storage_type() == StorageType::kRowSparse &&
      codec_ == nullptr) {
    merged = MakeDetachedRows(values[0].data(), values[0].indices(), spec_.shape, dtype);
  } else {
    merged = ArrayOf(spec_, Fold(key, values));
  }
  const std::vector<int64_t> rows = merged.indices();
  const NDArray seen = MakeRowSparseArray(spec_.shape, dtype);
  table_.Gather(rows.data(), rows.size(), seen.impl()->SetRows(rows));
  for (const int64_t row : rows) table_.Touch(row);  // memory for all before any is written
  NDArray stored = seen;  // if the updater assigns another array to it, that has no effect
  if (absl::Status updated = update(merged, &stored); !updated.ok()) return updated;
  table_.Scatter(rows.data(), rows.size(), seen.data_as<uint8_t>());
  return absl::OkStatus();
}

void LocalRows::CopyTo(const NDArray& output) const {
  if (output.storage_type() == StorageType::kDefault) {
    auto* const values = output.data_as<uint8_t>();
    table_.CopyTo(values);
    Round(values, static_cast<size_t>(output.size()));
  } else {
    CopyRows(table_.NonZeroRows(), output);
  }
}

void LocalRows::CopyRows(const std::vector<int64_t>& ids, const NDArray& output) const {
  uint8_t* const values = output.impl()->SetRows(ids);
  table_.Gather(ids.data(), ids.size(), values);
  Round(values, ids.size() * shape_.row_elements);
}

// What a server would answer, and a worker make of it.
void LocalRows::Round(uint8_t* values, size_t elements) const {
  if (codec_ == nullptr || !codec_->encodes_pulls() || elements == 0) return;
  Payload answer = EncodeValues(*codec_, spec_.dtype, values, elements);
  DecodeValues(*codec_, spec_.dtype, std::move(answer), elements).CopyTo(values);
}

}  // namespace kvstore
