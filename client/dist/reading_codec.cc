#include "client/dist/reading_codec.h"

#include <utility>

#include "client/dist/compressing_codec.h"
#include "common/base/status_macros.h"

namespace kvstore {

absl::Status ReadingCodec::Learn(KeyId key, const CompressionConfig& config) {
  Known known{config, nullptr};
  if (!config.type.empty()) {
    KVS_ASSIGN_OR_RETURN(known.codec, MakeCodec(config));
  }
  MutexLock lock(mutex_);
  keys_[key] = std::move(known);
  return absl::OkStatus();
}

absl::StatusOr<Payload> ReadingCodec::Decode(const KeyOperation& operation, PartIndex part,
                                             size_t elements, Payload received) {
  CodecPtr codec;
  {
    MutexLock lock(mutex_);
    const auto known = keys_.find(operation.key->id);
    if (known == keys_.end() || known->second.codec == nullptr) return received;
    const ValueSpec& spec = operation.spec;
    if (!Compresses(known->second.config, spec.dtype, spec.bytes)) return received;
    codec = known->second.codec;
  }
  return DecodePulled(*codec, operation, part, elements, std::move(received));
}

}  // namespace kvstore
