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

CompressingCodec::Encoders& CompressingCodec::EncodersOf(const KeyOperation& operation) {
  MutexLock lock(mutex_);
  std::unique_ptr<Encoders>& encoders = values_[operation.key->id];
  if (encoders == nullptr) {
    encoders = std::make_unique<Encoders>(
        ValueEncoder(codec_, operation.key->id, rank_, operation.spec.dtype, operation.spec.bytes));
  }
  return *encoders;
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
  const std::optional<BitCode> code = codec_->bit_code();
  if (!on_devices_ || !code || operation.spec.row_sparse) return std::nullopt;
  Encoders& of = EncodersOf(operation);
  if (!DeviceEncoder::Takes(operation.values)) {
    if (of.on_gpus == nullptr || !of.on_gpus->holds()) return std::nullopt;
    KVS_ASSIGN_OR_RETURN(MutableBufferPtr left_over, of.on_gpus->ToHost());
    of.on_host.set_left_over(std::move(left_over));
    of.on_gpus->Forget();
    return std::nullopt;
  }
  if (of.on_gpus == nullptr) {
    of.on_gpus = std::make_unique<DeviceEncoder>(*code, operation.spec.dtype, operation.spec.bytes,
                                                 &spares_);
  }
  auto encoded = std::make_shared<EncodedContribution>();
  encoded->codec = codec_->id();
  KVS_ASSIGN_OR_RETURN(encoded->parts,
                       of.on_gpus->Encode(operation.values, of.on_host.left_over().get(), threads));
  encoded->accept = [&of] {
    of.on_gpus->Accept();
    of.on_host.set_left_over(nullptr);
  };
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
  ValueEncoder& encoder = EncodersOf(operation).on_host;
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
