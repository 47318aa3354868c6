#include "client/dist/init_operation.h"

#include <utility>

namespace kvstore {

std::vector<PartRequest> InitOperation::Requests(const Cut& cut, const Contribution& value) {
  const KeySpec key = KeySpecOf(operation());
  std::vector<Piece> pieces = cut.Pieces(value, nullptr);
  std::vector<PartRequest> requests;
  requests.reserve(pieces.size());
  for (Piece& piece : pieces) {
    PartRequest& request = requests.emplace_back(RequestFor(Op::kInit, piece.part));
    request.key = key;
    request.create = true;
    request.data = std::move(piece.data);
    request.rows = piece.rows;
    request.fragment = piece.fragment;
    request.fragments = piece.fragments;
  }
  Expect(requests.size());
  return requests;
}

absl::Status InitOperation::Take(Op op, size_t, const Completion& completion,
                                 std::vector<PartRequest>*) {
  if (op == Op::kDrop) {
    status_ = InitUndo::Joined(status_, completion);
    return status_;
  }
  undo_.Noted(completion);
  return completion.status;
}

// Nothing is left to take back when the requests that took back are over, too.
std::vector<PartRequest> InitOperation::AllTaken() {
  return status_.ok() ? std::vector<PartRequest>() : undo_.Requests();
}

}  // namespace kvstore
