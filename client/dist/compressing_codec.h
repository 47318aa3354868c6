// CompressingCodec: the PartCodec of a store with SetGradientCompression: encodes what a worker
// pushes to keys of floats by a codec of common/codec, and keeps what is left over by key: in host
// memory, or, of what GPUs encode (client/reduce/device_encoder.h), in theirs.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "client/dist/part_codec.h"
#include "client/reduce/device_encoder.h"
#include "client/reduce/placed_encoder.h"
#include "client/store/row_encoder.h"
#include "common/base/mutex.h"
#include "common/codec/codec.h"

namespace kvstore {

// PartCodec::Decode for a key whose pulls `codec` may encode.
absl::StatusOr<Payload> DecodePulled(const Codec& codec, const KeyOperation& operation,
                                     PartIndex part, size_t elements, Payload received);

class CompressingCodec final : public PartCodec {
 public:
  // `codec`: MakeCodec(config). `rank`: of this worker. `on_devices`: what GPUs have is encoded by
  // them, if they can.
  CompressingCodec(CompressionConfig config, CodecPtr codec, WorkerRank rank, bool on_devices);

  const CompressionConfig& config() const override { return config_; }
  bool Encodes(const KeyOperation& operation) const override;
  absl::StatusOr<std::optional<Contribution>> EncodeOnDevices(const KeyOperation& operation,
                                                              BlockThreads& threads) override
      KVS_EXCLUDES(mutex_);
  Encoding Prepare(const KeyOperation& operation, std::vector<PartPiece>* pieces) override
      KVS_EXCLUDES(mutex_);
  void Forget(KeyId key) override KVS_EXCLUDES(mutex_);
  absl::StatusOr<Payload> Decode(const KeyOperation& operation, PartIndex part, size_t elements,
                                 Payload received) override;

 private:
  // Those of the operation's key, made at its first push. Pushes of a key come one after the other,
  // so that nobody else uses them meanwhile.
  PlacedEncoder& ValueEncoderOf(const KeyOperation& operation) KVS_EXCLUDES(mutex_);
  RowEncoder& RowEncoderOf(const KeyOperation& operation) KVS_EXCLUDES(mutex_);
  Encoding PrepareValue(const KeyOperation& operation, std::vector<PartPiece>* pieces);
  Encoding PrepareRows(const KeyOperation& operation, std::vector<PartPiece>* pieces);

  const CompressionConfig config_;
  const CodecPtr codec_;
  const WorkerRank rank_;
  const bool on_devices_;
  DeviceSpares spares_;
  Mutex mutex_;
  std::unordered_map<KeyId, std::unique_ptr<PlacedEncoder>> values_ KVS_GUARDED_BY(mutex_);
  std::unordered_map<KeyId, std::unique_ptr<RowEncoder>> rows_ KVS_GUARDED_BY(mutex_);
};

}  // namespace kvstore
