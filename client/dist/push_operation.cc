#include "client/dist/push_operation.h"

#include <utility>

namespace kvstore {

std::vector<PartAsk> PushOperation::Asks(const Cut& cut, const Contribution& contribution,
                                         LentParts* lent, PartCodec& codec) {
  std::vector<Piece> pieces = cut.Pieces(contribution, lent);
  std::vector<PartAsk> asks;
  asks.reserve(pieces.size());
  for (Piece& piece : pieces) {
    PartRequest& request = Ask(Op::kPush, piece.part, &asks);
    request.data = codec.Encode(request.id, operation().spec, std::move(piece.data));
    request.rows = piece.rows;
    request.fragment = piece.fragment;
    request.fragments = piece.fragments;
  }
  return asks;
}

}  // namespace kvstore
