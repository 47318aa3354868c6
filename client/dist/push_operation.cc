#include "client/dist/push_operation.h"

#include <utility>

namespace kvstore {

void PushOperation::AddAsks(const Cut& cut, const Contribution& contribution, LentParts* lent,
                            PartCodec& codec, std::vector<PartAsk>* asks) {
  for (PartPiece& each : cut.Pieces(contribution, lent)) {
    PartRequest& request = Ask(Op::kPush, each.part, asks);
    request.piece = std::move(each.piece);
    request.piece.data = codec.Encode(request.id, operation().spec, std::move(request.piece.data));
  }
}

}  // namespace kvstore
