// ReadingCodec: the PartCodec of a reader. It encodes nothing; what it pulls may be encoded as the
// workers of the job want it, which the servers say with each key.
#pragma once

#include "client/dist/part_codec.h"
#include "common/base/flat_map.h"
#include "common/base/mutex.h"
#include "common/codec/codec.h"

namespace kvstore {

class ReadingCodec final : public PartCodec {
 public:
  // What a server says of a key that is to be pulled. Errors: those of MakeCodec. May throw
  // std::bad_alloc.
  absl::Status Learn(KeyId key, const CompressionConfig& config) KVS_EXCLUDES(mutex_);

  const CompressionConfig& config() const override { return none_; }
  bool Encodes(const KeyOperation&) const override { return false; }
  Encoding Prepare(const KeyOperation&, std::vector<PartPiece>*) override { return nullptr; }
  void Forget(KeyId) override {}
  absl::StatusOr<Payload> Decode(const KeyOperation& operation, PartIndex part, size_t elements,
                                 Payload received) override KVS_EXCLUDES(mutex_);

 private:
  struct Known {
    CompressionConfig config;
    CodecPtr codec;  // null: the key is not compressed
  };

  const CompressionConfig none_{};
  Mutex mutex_;
  FlatMap<KeyId, Known> keys_ KVS_GUARDED_BY(mutex_);
};

}  // namespace kvstore
