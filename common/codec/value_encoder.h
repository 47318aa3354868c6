// ValueEncoder: what one sender keeps to encode the contributions to one dense key: the codec, and
// what was left over (error feedback). The value is cut into parts as it travels
// (common/cluster/partitioner.h), and each part is a block of its own, so that a store of one
// process has the bits of a cluster.
//
// An example, 2bit with threshold 0.5: the contributions [0.3] and [0.3] are sent as 00 and 11;
// left over is 0.3 after the first, and 0.3 + 0.3 - 0.5 = 0.1 after the second.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/codec/codec.h"
#include "common/tensor/buffer.h"

namespace kvstore {

// Threading: thread-compatible.
class ValueEncoder {
 public:
  // `bytes`: of the value, in `dtype`.
  ValueEncoder(CodecPtr codec, KeyId key, uint32_t sender, DType dtype, uint64_t bytes);

  // Memory for the next contribution: a buffer for each part. May throw std::bad_alloc.
  std::vector<MutableBufferPtr> MakeRoom();
  // Encodes the contribution `value`, `bytes` of it, into what MakeRoom returned, part by part;
  // calls encoded(end) after each: all parts below `end` are encoded.
  void Encode(const uint8_t* value, const std::vector<MutableBufferPtr>& parts,
              absl::FunctionRef<void(PartIndex end)> encoded) noexcept;
  void Encode(const uint8_t* value, const std::vector<MutableBufferPtr>& parts) noexcept {
    Encode(value, parts, [](PartIndex) {});
  }

  // Makes it possible to undo the next Encode, at the cost of a copy of what is left over. May
  // throw std::bad_alloc.
  void KeepForUndo();
  // As if the last Encode, before which KeepForUndo was called, had not been.
  void Undo() noexcept;

  const Codec& codec() const { return *codec_; }

  // What is left over, in AccumulatorOf(dtype); null: nothing, or somebody else has it, who may
  // bring it back (a GPU, client/reduce/device_encoder.h).
  const MutableBufferPtr& left_over() const { return left_over_; }
  void set_left_over(MutableBufferPtr left_over) { left_over_ = std::move(left_over); }

 private:
  size_t ElementsOf(PartIndex part) const;
  void EncodePart(PartIndex part, const uint8_t* value, uint8_t* left_over,
                  uint8_t* encoded) noexcept;

  const CodecPtr codec_;
  const KeyId key_;
  const uint32_t sender_;
  const DType dtype_;
  const uint64_t bytes_;
  MutableBufferPtr left_over_;  // in AccumulatorOf(dtype); null before the first contribution
  MutableBufferPtr kept_;       // what was left over before the last contribution
  MutableBufferPtr scratch_;
  uint64_t contributions_ = 0;
};

}  // namespace kvstore
