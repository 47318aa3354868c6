#include "client/dist/push_operation.h"

#include <utility>

namespace kvstore {

void PushOperation::AddAsks(const Cut& cut, const Contribution& contribution, LentParts* lent,
                            PartCodec& codec, PartAsks* asks) {
  std::vector<PartPiece> pieces = cut.Pieces(contribution, lent, codec.Encodes(operation()));
  encoding_ = codec.Prepare(operation(), &pieces);
  for (PartPiece& each : pieces) {
    Ask(Op::kPush, each.part, asks).piece = std::move(each.piece);
  }
}

void PushOperation::Encode(PartCodec::Encoded encoded) noexcept {
  std::exchange(encoding_, nullptr)(encoded);
}

}  // namespace kvstore
