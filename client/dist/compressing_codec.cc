#include "client/dist/compressing_codec.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "common/cluster/partitioner.h"
#include "common/model/key_spec.h"

namespace kvstore {

CompressingCodec::CompressingCodec(CompressionConfig config, CodecPtr codec, WorkerRank rank)
    : config_(std::move(config)), codec_(std::move(codec)), rank_(rank) {}

bool CompressingCodec::Encodes(const KeyOperation& operation) const {
  const ValueSpec& spec = operation.spec;
  return Compresses(config_, spec.dtype, spec.row_sparse ? Storage::kRowSparse : Storage::kDense,
                    spec.bytes);
}

ValueEncoder& CompressingCodec::EncoderOf(const KeyOperation& operation) {
  MutexLock lock(mutex_);
  std::unique_ptr<ValueEncoder>& encoder = encoders_[operation.key->id];
  if (encoder == nullptr) {
    encoder = std::make_unique<ValueEncoder>(codec_, operation.key->id, rank_, operation.spec.dtype,
                                             operation.spec.bytes);
  }
  return *encoder;
}

PartCodec::Encoding CompressingCodec::Prepare(const KeyOperation& operation,
                                              std::vector<PartPiece>* pieces) {
  if (!Encodes(operation)) return nullptr;
  ValueEncoder& encoder = EncoderOf(operation);
  std::vector<MutableBufferPtr> parts = encoder.MakeRoom();
  // The parts of a dense value lie one behind the other.
  Payload value;
  for (PartIndex part = 0; part < parts.size(); ++part) {
    Piece& piece = (*pieces)[part].piece;
    value.Append(piece.data);
    piece.data = Payload(BufferPtr(parts[part]));
    piece.codec = codec_->id();
  }
  return [&encoder, value = std::move(value), parts = std::move(parts)] {
    encoder.Encode(value.slices()[0].data, parts);
  };
}

absl::StatusOr<Payload> CompressingCodec::Decode(const KeyOperation& operation, PartIndex part,
                                                 Payload received) {
  if (!codec_->encodes_pulls() || !Encodes(operation)) return received;
  const ValueSpec& spec = operation.spec;
  const size_t elements = PartBytes(spec.bytes, part) / DTypeBytes(spec.dtype);
  const absl::Status fits = codec_->Check(spec.dtype, elements, received);
  if (!fits.ok()) {
    return absl::InternalError(fmt::format("{} part {}: the server sent: {}", operation.key->label,
                                           part, std::string(fits.message())));
  }
  return DecodeValues(*codec_, spec.dtype, std::move(received), elements);
}

}  // namespace kvstore
