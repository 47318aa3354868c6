// Codec: how a block of values (a dense part, the rows of a request) travels in fewer bytes than it
// has. A codec is a pair of functions without memory: what encoding rounds away is given back to
// the sender, who adds it to the next block of the same values (error feedback, value_encoder.h).
//
// An example, 2bit with threshold 0.5: the block [0.7, -0.2, -0.6] is sent as the three codes
// 11 00 10, which stand for [0.5, 0, -0.5], and [0.2, -0.2, -0.1] is left over. If the next block
// is [0.3, 0, 0], then [0.5, -0.2, -0.1] is encoded: 11 00 00.
//
// All arithmetic is in AccumulatorOf(dtype) (kernels.h), f32 or f64. The bits of the encoded bytes
// and of what they stand for are a contract (docs/compression.md): the same on every machine and
// with every instruction set, so that a store of one process has the bits of a cluster.
//
// Adding a codec: a file pair here, one line in register_codecs.cc, its number in
// common/model/compression_config.h and data.proto, a section in docs/compression.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/cluster/identity.h"
#include "common/kernels/cpu/code_steps.h"
#include "common/model/compression_config.h"
#include "common/tensor/dtype.h"
#include "common/wire/payload.h"

namespace kvstore {

// Names a block that is encoded: what chance depends on, where there is any, so that it comes out
// the same whenever and wherever the block is encoded.
struct BlockName {
  KeyId key = 0;
  PartIndex part = 0;
  uint32_t sender = 0;  // the worker's rank; of a local store the place in the list of values
  uint64_t number = 0;  // of the blocks that the sender has encoded of this part, from 0
};

// Immutable. Threading: const methods from any thread.
class Codec {
 public:
  explicit Codec(CodecId id) : id_(id) {}
  virtual ~Codec() = default;
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  CodecId id() const { return id_; }
  // Whether the answers to pulls are encoded, too.
  virtual bool encodes_pulls() const { return false; }

  // The bytes that `elements` (at least 1) values are encoded in, whatever their values.
  virtual size_t EncodedBytes(DType dtype, size_t elements) const = 0;
  // Where this is not 0, encoding a block is the same as encoding it so many elements at a time,
  // and putting the results one behind the other.
  virtual size_t piece_elements() const { return 0; }
  // What the codec is to a GPU, which encodes each element for itself, with the same bits
  // (common/kernels/cuda/codecs.cuh); nothing: only the host encodes.
  virtual std::optional<BitCode> bit_code() const { return std::nullopt; }
  // Memory that Encode needs besides.
  virtual size_t ScratchBytes(DType /*dtype*/, size_t /*elements*/) const { return 0; }
  // Writes EncodedBytes() bytes to `encoded`, which need no alignment. `values`, in
  // AccumulatorOf(dtype), become what is left over.
  virtual void Encode(DType dtype, void* values, size_t elements, const BlockName& block,
                      void* scratch, uint8_t* encoded) const noexcept = 0;

  // Whether `encoded`, which a peer sent, stands for `elements` values.
  // Errors: INVALID_ARGUMENT: what was expected and what came, without the key.
  virtual absl::Status Check(DType dtype, size_t elements, const Payload& encoded) const;
  // values[i] = what element i stands for; or adds that, if `add`. `encoded` passed Check; `values`
  // are in AccumulatorOf(dtype).
  virtual void Decode(DType dtype, const uint8_t* encoded, size_t elements, bool add,
                      void* values) const noexcept = 0;

 private:
  const CodecId id_;
};

// A piece in f32 and what is added to it lie in a core's nearest cache.
inline constexpr size_t kPieceElements = 4096;

using CodecPtr = std::shared_ptr<const Codec>;

// The codec of the config's type. Errors: INVALID_ARGUMENT for an unknown type (lists the known
// ones), an unknown parameter or a number out of its range.
absl::StatusOr<CodecPtr> MakeCodec(const CompressionConfig& config);

// Whether pushes of a key of so many `bytes` (row_sparse: of all rows) are compressed: floats that
// have at least the config's min_bytes, and at least one byte. `config` passed MakeCodec, or is
// none.
bool Compresses(const CompressionConfig& config, DType dtype, uint64_t bytes);

// The types, in the order of the list.
std::vector<std::string> CodecTypes();

// The answer to a pull: `values`, in `dtype`, encoded by a codec that encodes pulls; and back, in
// `dtype` again, from what passed Check. May throw std::bad_alloc.
Payload EncodeValues(const Codec& codec, DType dtype, const uint8_t* values, size_t elements);
Payload DecodeValues(const Codec& codec, DType dtype, Payload encoded, size_t elements);

// The bytes as one slice, which Decode wants: themselves, or a copy if they are several. May throw
// std::bad_alloc.
Payload InOneSlice(Payload encoded);

}  // namespace kvstore
