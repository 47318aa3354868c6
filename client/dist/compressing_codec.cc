#include "client/dist/compressing_codec.h"

#include <fmt/format.h>

#include <string>

#include "common/base/status_macros.h"

namespace kvstore {

CompressingCodec::CompressingCodec(CompressionConfig config, CodecPtr codec, WorkerRank rank,
                                   bool on_devices)
    : config_(std::move(config)), codec_(std::move(codec)), rank_(rank), on_devices_(on_devices) {}

bool CompressingCodec::Encodes(const KeyOperation& operation) const {
  return Compresses(config_, operation.spec.dtype, operation.spec.bytes);
}

PlacedEncoder& CompressingCodec::ValueEncoderOf(const KeyOperation& operation) {
  MutexLock lock(mutex_);
  std::unique_ptr<PlacedEncoder>& encoder = values_[operation.key->id];
  if (encoder == nullptr) {
    encoder =
        std::make_unique<PlacedEncoder>(codec_, operation.key->id, rank_, operation.spec.dtype,
                                        operation.spec.bytes, on_devices_ ? &spares_ : nullptr);
  }
  return *encoder;
}

RowEncoder& CompressingCodec::RowEncoderOf(const KeyOperation& operation) {
  MutexLock lock(mutex_);
  std::unique_ptr<RowEncoder>& encoder = rows_[operation.key->id];
  if (encoder == nullptr) {
    const ValueSpec& spec = operation.spec;
    encoder = std::make_unique<RowEncoder>(codec_, operation.key->id, rank_, spec.dtype,
                                           RowShapeOf(spec.shape, spec.dtype));
  }
  return *encoder;
}

absl::StatusOr<std::optional<Contribution>> CompressingCodec::EncodeOnDevices(
    const KeyOperation& operation, BlockThreads& threads) {
  if (operation.spec.row_sparse) return std::nullopt;
  PlacedEncoder& encoder = ValueEncoderOf(operation);
  KVS_ASSIGN_OR_RETURN(std::optional<PlacedEncoder::Parts> parts,
                       encoder.EncodeOnDevices(operation.values, threads));
  if (!parts) return std::nullopt;
  auto encoded = std::make_shared<EncodedContribution>();
  encoded->codec = codec_->id();
  encoded->parts = *std::move(parts);
  encoded->accept = [&encoder] { encoder.Accept(); };
  Contribution contribution;
  contribution.encoded = std::move(encoded);
  return contribution;
}

PartCodec::Encoding CompressingCodec::Prepare(const KeyOperation& operation,
                                              std::vector<PartPiece>* pieces) {
  if (!Encodes(operation)) return nullptr;
  for (PartPiece& each : *pieces) each.piece.codec = codec_->id();
  return operation.spec.row_sparse ? PrepareRows(operation, pieces)
                                   : PrepareValue(operation, pieces);
}

PartCodec::Encoding CompressingCodec::PrepareValue(const KeyOperation& operation,
                                                   std::vector<PartPiece>* pieces) {
  ValueEncoder& encoder = ValueEncoderOf(operation).on_host();
  std::vector<MutableBufferPtr> parts = encoder.MakeRoom();
  // The parts of a dense value lie one behind the other.
  Payload value;
  for (PartIndex part = 0; part < parts.size(); ++part) {
    Payload& data = (*pieces)[part].piece.data;
    value.Append(data);
    data = Payload(BufferPtr(parts[part]));
  }
  return [&encoder, value = std::move(value), parts = std::move(parts)](Encoded encoded) {
    encoder.Encode(value.slices()[0].data, parts, encoded);
  };
}

PartCodec::Encoding CompressingCodec::PrepareRows(const KeyOperation& operation,
                                                  std::vector<PartPiece>* pieces) {
  RowEncoder& encoder = RowEncoderOf(operation);
  std::vector<RowBlock> blocks;
  std::vector<Payload> plain;  // what the blocks refer to
  for (const auto& [part, piece] : *pieces) {
    if (piece.rows == 0) continue;
    blocks.push_back({part, piece.fragment, piece.rows, piece.data.slices()[0].data, nullptr});
    plain.push_back(piece.data);
  }
  encoder.MakeRoom(&blocks);
  auto block = blocks.begin();
  for (PartPiece& each : *pieces) {
    if (each.piece.rows > 0) each.piece.data = Payload(BufferPtr((block++)->encoded));
  }
  const PartIndex stripes = pieces->back().part + 1;
  return
      [&encoder, plain = std::move(plain), blocks = std::move(blocks), stripes](Encoded encoded) {
        encoder.Encode(blocks, encoded);
        encoded(stripes);
      };
}

void CompressingCodec::Forget(KeyId key) {
  MutexLock lock(mutex_);
  values_.erase(key);
  rows_.erase(key);
}

absl::StatusOr<Payload> CompressingCodec::Decode(const KeyOperation& operation, PartIndex part,
                                                 size_t elements, Payload received) {
  if (!Encodes(operation)) return received;
  return DecodePulled(*codec_, operation, part, elements, std::move(received));
}

absl::StatusOr<Payload> DecodePulled(const Codec& codec, const KeyOperation& operation,
                                     PartIndex part, size_t elements, Payload received) {
  if (!codec.encodes_pulls()) return received;
  const DType dtype = operation.spec.dtype;
  const absl::Status fits = codec.Check(dtype, elements, received);
  if (!fits.ok()) {
    return absl::InternalError(fmt::format("{} part {}: the server sent: {}", operation.key->label,
                                           part, std::string(fits.message())));
  }
  return DecodeValues(codec, dtype, std::move(received), elements);
}

}  // namespace kvstore
