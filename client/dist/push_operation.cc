#include "client/dist/push_operation.h"

#include <utility>

namespace kvstore {

std::vector<PartRequest> PushOperation::Requests(const Cut& cut, const Contribution& contribution,
                                                 LentParts* lent, PartCodec& codec) {
  std::vector<Piece> pieces = cut.Pieces(contribution, lent);
  std::vector<PartRequest> requests;
  requests.reserve(pieces.size());
  for (Piece& piece : pieces) {
    PartRequest& request = requests.emplace_back(RequestFor(Op::kPush, piece.part));
    request.data = codec.Encode(request.id, operation().spec, std::move(piece.data));
    request.rows = piece.rows;
    request.fragment = piece.fragment;
    request.fragments = piece.fragments;
  }
  Expect(requests.size());
  return requests;
}

}  // namespace kvstore
