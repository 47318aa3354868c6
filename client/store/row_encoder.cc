#include "client/store/row_encoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

constexpr size_t kIdBytes = sizeof(int64_t);
// More than a contribution has fragments of one stripe: so that each block has a number of its own.
constexpr uint64_t kFragments = 1u << 20;

int64_t IdAt(const RowBlock& block, size_t i) {
  int64_t id = 0;
  std::memcpy(&id, block.data + i * kIdBytes, kIdBytes);
  return id;
}

template <typename T>
void Grow(size_t size, std::vector<T>* items) {
  if (items->size() < size) items->resize(size);
}

}  // namespace

RowEncoder::RowEncoder(CodecPtr codec, KeyId key, uint32_t sender, DType dtype,
                       const RowShape& shape)
    : codec_(std::move(codec)),
      key_(key),
      sender_(sender),
      dtype_(dtype),
      row_elements_(shape.row_elements),
      left_over_(shape.rows, shape.row_elements * DTypeBytes(AccumulatorOf(dtype))) {}

void RowEncoder::MakeRoom(std::vector<RowBlock>* blocks) {
  for (RowBlock& block : *blocks) {
    const size_t elements = ElementsOf(block);
    block.encoded =
        std::make_shared<Buffer>(block.rows * kIdBytes + codec_->EncodedBytes(dtype_, elements));
    Grow(block.rows, &ids_);
    Grow(elements * DTypeBytes(AccumulatorOf(dtype_)), &values_);
    Grow(codec_->ScratchBytes(dtype_, elements), &scratch_);
    for (size_t i = 0; i < block.rows; ++i) left_over_.Touch(IdAt(block, i));
  }
}

void RowEncoder::KeepForUndo(const std::vector<RowBlock>& blocks) {
  size_t bytes = 0;
  for (const RowBlock& block : blocks) bytes += block.rows * left_over_.row_bytes();
  Grow(bytes, &kept_);
  uint8_t* to = kept_.data();
  for (const RowBlock& block : blocks) {
    std::memcpy(ids_.data(), block.data, block.rows * kIdBytes);
    left_over_.Gather(ids_.data(), block.rows, to);
    to += block.rows * left_over_.row_bytes();
  }
}

void RowEncoder::Undo(const std::vector<RowBlock>& blocks) noexcept {
  const uint8_t* from = kept_.data();
  for (const RowBlock& block : blocks) {
    std::memcpy(ids_.data(), block.data, block.rows * kIdBytes);
    left_over_.Scatter(ids_.data(), block.rows, from);
    from += block.rows * left_over_.row_bytes();
  }
  --contributions_;
}

void RowEncoder::Encode(const std::vector<RowBlock>& blocks,
                        absl::FunctionRef<void(PartIndex end)> encoded) noexcept {
  for (const RowBlock& block : blocks) {
    if (block.fragment == 0) encoded(block.stripe);
    const size_t ids_bytes = block.rows * kIdBytes;
    std::memcpy(ids_.data(), block.data, ids_bytes);
    std::memcpy(block.encoded->data(), block.data, ids_bytes);
    left_over_.Gather(ids_.data(), block.rows, values_.data());
    Accumulate(dtype_, values_.data(), block.data + ids_bytes, ElementsOf(block));
    const BlockName name{key_, block.stripe, sender_, contributions_ * kFragments + block.fragment};
    codec_->Encode(dtype_, values_.data(), ElementsOf(block), name, scratch_.data(),
                   block.encoded->data() + ids_bytes);
    left_over_.Scatter(ids_.data(), block.rows, values_.data());  // rows that were touched
  }
  ++contributions_;
}

}  // namespace kvstore
