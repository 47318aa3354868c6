// PushOperation: this worker's contribution to one round of one key.
//
// Bytes are lent, not copied, unless they are encoded (part_codec.h): the pieces of a dense
// contribution are slices of the caller's array, which the operation's token keeps; so it completes
// only when the core and the transport have given every byte back.
#pragma once

#include <memory>
#include <vector>

#include "client/dist/cut.h"
#include "client/dist/dist_operation.h"
#include "client/dist/part_codec.h"

namespace kvstore {

class PushOperation final : public DistOperation {
 public:
  PushOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token)
      : DistOperation(std::move(operation), std::move(token)) {}

  // Appends what is asked, where it is encoded with room for that alone. Called once. `lent`: as of
  // Cut::Pieces. May throw std::bad_alloc.
  void AddAsks(const Cut& cut, const Contribution& contribution, LentParts* lent, PartCodec& codec,
               PartAsks* asks);
  // Whether what is to be sent is encoded first.
  bool encodes() const { return encoding_ != nullptr; }
  // Encodes it, once, part by part, and says how far it is; what comes encoded is accepted. From
  // its call on all of it has to be sent: what is left over goes with the next push.
  void Encode(PartCodec::Encoded encoded) noexcept;

 private:
  PartCodec::Encoding encoding_;
};

}  // namespace kvstore
