// PartCodec: the seam where the values of a key are encoded before they are sent, and decoded when
// they come back. PlainCodec leaves them as they are; CompressingCodec (compressing_codec.h) does
// what SetGradientCompression asked for.
//
// What an encoder may rely on: a push is encoded once, on its way from the cut to the links, the
// pushes of a key one after the other in their order; a resend carries the very same bytes (rule C3
// of client_core.h). So a codec may keep, by key, what rounding has left over.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "client/dist/cut.h"
#include "client/reduce/block_threads.h"
#include "client/reduce/contribution.h"
#include "client/store/store_backend.h"
#include "common/cluster/identity.h"
#include "common/model/compression_config.h"
#include "common/wire/payload.h"

namespace kvstore {

// Thread-safe: parts of different keys come from several threads at once.
class PartCodec {
 public:
  virtual ~PartCodec() = default;

  // What Inits say of it.
  virtual const CompressionConfig& config() const = 0;

  // Whether pushes of the operation's key are encoded: that takes time, so it is done on the
  // reducer's thread, not on the caller's.
  virtual bool Encodes(const KeyOperation& operation) const = 0;
  // A push that is encoded comes here first, on the reducer's thread, with the reducer's threads:
  // one whose values GPUs have may be encoded there, so that only codes cross to the host. Nothing:
  // it is left to Prepare. Errors: the GPUs'; what is left over is as it was. May throw
  // std::bad_alloc.
  virtual absl::StatusOr<std::optional<Contribution>> EncodeOnDevices(const KeyOperation&,
                                                                      BlockThreads&) {
    return std::nullopt;
  }
  // Hears how far an encoding is: the pieces of all parts below `end` may be sent.
  using Encoded = absl::FunctionRef<void(PartIndex end)>;
  // Makes room for the pieces of a push, all parts of its key, to be encoded in, and returns what
  // encodes them, in ascending order of parts: to be called once, when nothing can fail any more.
  // It calls `encoded` as it goes, at last with the number of parts. Null where the pieces go as
  // they are. (What an Init brings is never encoded.) May throw std::bad_alloc.
  using Encoding = std::function<void(Encoded encoded)>;
  virtual Encoding Prepare(const KeyOperation& operation, std::vector<PartPiece>* pieces) = 0;
  // The key is deleted or reset: what was kept of it is not added to the pushes that follow, of
  // this key or another one of its name.
  virtual void Forget(KeyId key) = 0;
  // What a pull's reply about a part stands for: so many elements of the key's dtype, at least one.
  // It comes from the network, and is not trusted.
  virtual absl::StatusOr<Payload> Decode(const KeyOperation& operation, PartIndex part,
                                         size_t elements, Payload received) = 0;
};

// The bytes as they are; nothing is copied.
class PlainCodec final : public PartCodec {
 public:
  const CompressionConfig& config() const override { return none_; }
  bool Encodes(const KeyOperation&) const override { return false; }
  Encoding Prepare(const KeyOperation&, std::vector<PartPiece>*) override { return nullptr; }
  void Forget(KeyId) override {}
  absl::StatusOr<Payload> Decode(const KeyOperation&, PartIndex, size_t,
                                 Payload received) override {
    return received;
  }

 private:
  const CompressionConfig none_{};
};

}  // namespace kvstore
