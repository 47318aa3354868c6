// RowEncoder: what one sender keeps to encode the contributions to one row_sparse key: the codec,
// and what was left over, by row (error feedback, common/codec/codec.h). A block is what one
// request brings: some rows of one stripe. Their ids go as they are.
//
// An example, 2bit with threshold 0.5, rows of one element: the contribution {row 3: 0.3} is sent
// as row 3, code 00. Two steps later {row 3: 0.3, row 8: 0.6} is sent as the rows 3 and 8, codes 11
// 11: of row 3 0.3 were left over. Left over are now 0.1 of each.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/codec/codec.h"
#include "common/rows/row_cut.h"
#include "common/rows/row_table.h"
#include "common/tensor/buffer.h"

namespace kvstore {

// The rows that one request brings.
struct RowBlock {
  PartIndex stripe = 0;
  uint32_t fragment = 0;
  uint32_t rows = 0;              // at least one
  const uint8_t* data = nullptr;  // `rows` ids, then the rows
  MutableBufferPtr encoded;       // `rows` ids, then the encoded rows
};

// Threading: thread-compatible.
class RowEncoder {
 public:
  RowEncoder(CodecPtr codec, KeyId key, uint32_t sender, DType dtype, const RowShape& shape);

  // Memory for the blocks of the next contribution: `encoded` of each. May throw std::bad_alloc.
  void MakeRoom(std::vector<RowBlock>* blocks);
  // Encodes the blocks that MakeRoom was given, all of a contribution, in ascending order of
  // stripes; calls encoded(end) before the first block of each: all stripes below `end` are
  // encoded.
  void Encode(const std::vector<RowBlock>& blocks,
              absl::FunctionRef<void(PartIndex end)> encoded) noexcept;
  void Encode(const std::vector<RowBlock>& blocks) noexcept {
    Encode(blocks, [](PartIndex) {});
  }

  // Makes it possible to undo the next Encode of these blocks, at the cost of a copy of what is
  // left over of their rows. May throw std::bad_alloc.
  void KeepForUndo(const std::vector<RowBlock>& blocks);
  // As if the last Encode, before which KeepForUndo was called, had not been.
  void Undo(const std::vector<RowBlock>& blocks) noexcept;

  const Codec& codec() const { return *codec_; }

 private:
  size_t ElementsOf(const RowBlock& block) const { return block.rows * row_elements_; }

  const CodecPtr codec_;
  const KeyId key_;
  const uint32_t sender_;
  const DType dtype_;
  const size_t row_elements_;
  RowTable left_over_;  // in AccumulatorOf(dtype)
  // Of the largest block so far.
  std::vector<int64_t> ids_;
  std::vector<uint8_t> values_, scratch_;
  std::vector<uint8_t> kept_;  // what was left over before the last contribution, block by block
  uint64_t contributions_ = 0;
};

}  // namespace kvstore
