// PartCodec: the seam where the bytes of a part are encoded before they are sent, and decoded when
// they come back. Today there is one codec, which leaves them as they are.
//
// What an encoder may rely on: a piece of a push is encoded once, on its way from the cut to the
// links, the pieces of one part in the order of the pushes; a resend carries the very same bytes
// (rule C3 of client_core.h). So a codec may keep, by part, what rounding has left over.
#pragma once

#include <utility>

#include "absl/status/statusor.h"
#include "client/store/store_backend.h"
#include "common/cluster/identity.h"
#include "common/wire/payload.h"

namespace kvstore {

// Thread-safe: parts of different keys come from several threads at once.
class PartCodec {
 public:
  virtual ~PartCodec() = default;

  // What is sent for the bytes `plain` of a push. (What an Init brings is never encoded.) May throw
  // std::bad_alloc.
  virtual Payload Encode(PartId part, const ValueSpec& spec, Payload plain) = 0;
  // What a pull's reply stands for. It comes from the network, and is not trusted.
  virtual absl::StatusOr<Payload> Decode(PartId part, const ValueSpec& spec, Payload received) = 0;
};

// The bytes as they are; nothing is copied.
class PlainCodec final : public PartCodec {
 public:
  Payload Encode(PartId, const ValueSpec&, Payload plain) override { return plain; }
  absl::StatusOr<Payload> Decode(PartId, const ValueSpec&, Payload received) override {
    return received;
  }
};

}  // namespace kvstore
