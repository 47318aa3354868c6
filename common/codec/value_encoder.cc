#include "common/codec/value_encoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/cluster/partitioner.h"
#include "common/kernels/kernels.h"

namespace kvstore {

ValueEncoder::ValueEncoder(CodecPtr codec, KeyId key, uint32_t sender, DType dtype, uint64_t bytes)
    : codec_(std::move(codec)), key_(key), sender_(sender), dtype_(dtype), bytes_(bytes) {}

size_t ValueEncoder::ElementsOf(PartIndex part) const {
  return PartBytes(bytes_, part) / DTypeBytes(dtype_);
}

std::vector<MutableBufferPtr> ValueEncoder::MakeRoom() {
  if (left_over_ == nullptr) {
    auto zeros =
        std::make_shared<Buffer>(bytes_ / DTypeBytes(dtype_) * DTypeBytes(AccumulatorOf(dtype_)));
    std::memset(zeros->data(), 0, zeros->size());
    left_over_ = std::move(zeros);
  }
  if (const size_t scratch = codec_->ScratchBytes(dtype_, ElementsOf(0));
      scratch > 0 && scratch_ == nullptr) {
    scratch_ = std::make_shared<Buffer>(scratch);
  }
  std::vector<MutableBufferPtr> parts(PartCount(bytes_));
  for (PartIndex part = 0; part < parts.size(); ++part) {
    parts[part] = std::make_shared<Buffer>(codec_->EncodedBytes(dtype_, ElementsOf(part)));
  }
  return parts;
}

void ValueEncoder::KeepForUndo() {
  if (kept_ == nullptr) kept_ = std::make_shared<Buffer>(left_over_->size());
  std::memcpy(kept_->data(), left_over_->data(), kept_->size());
}

void ValueEncoder::Undo() noexcept {
  left_over_.swap(kept_);
  --contributions_;
}

void ValueEncoder::Encode(const uint8_t* value, const std::vector<MutableBufferPtr>& parts,
                          absl::FunctionRef<void(PartIndex end)> encoded) noexcept {
  uint8_t* block = left_over_->data();
  for (PartIndex part = 0; part < parts.size(); ++part) {
    EncodePart(part, value + PartOffset(part), block, parts[part]->data());
    block += ElementsOf(part) * DTypeBytes(AccumulatorOf(dtype_));
    encoded(part + 1);
  }
  ++contributions_;
}

// What is left over, and the contribution on top of it: that is what is encoded. Piece by piece,
// where the codec allows it, so that what was added is encoded out of the cache.
void ValueEncoder::EncodePart(PartIndex part, const uint8_t* value, uint8_t* left_over,
                              uint8_t* encoded) noexcept {
  const BlockName name{key_, part, sender_, contributions_};
  size_t left = ElementsOf(part);
  const size_t piece = codec_->piece_elements() == 0 ? left : codec_->piece_elements();
  while (left > 0) {
    const size_t count = std::min(left, piece);
    Accumulate(dtype_, left_over, value, count);
    codec_->Encode(dtype_, left_over, count, name, scratch_ == nullptr ? nullptr : scratch_->data(),
                   encoded);
    left_over += count * DTypeBytes(AccumulatorOf(dtype_));
    value += count * DTypeBytes(dtype_);
    encoded += codec_->EncodedBytes(dtype_, count);
    left -= count;
  }
}

}  // namespace kvstore
