#include "client/dist/push_operation.h"

#include <utility>

namespace kvstore {

std::vector<PartAsk> PushOperation::Asks(const Cut& cut, const Contribution& contribution,
                                         LentParts* lent, PartCodec& codec) {
  std::vector<PartPiece> pieces = cut.Pieces(contribution, lent);
  std::vector<PartAsk> asks;
  asks.reserve(pieces.size());
  for (PartPiece& each : pieces) {
    PartRequest& request = Ask(Op::kPush, each.part, &asks);
    request.piece = std::move(each.piece);
    request.piece.data = codec.Encode(request.id, operation().spec, std::move(request.piece.data));
  }
  return asks;
}

}  // namespace kvstore
