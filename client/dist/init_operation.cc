#include "client/dist/init_operation.h"

#include <utility>

namespace kvstore {

namespace {

// A piece without bytes for every part.
std::vector<PartPiece> EmptyPieces(PartIndex parts) {
  std::vector<PartPiece> pieces(parts);
  for (PartIndex part = 0; part < parts; ++part) pieces[part].part = part;
  return pieces;
}

}  // namespace

PartAsks InitOperation::Asks(const Cut& cut, const Contribution* value,
                             const CompressionConfig& compression) {
  const auto key = std::make_shared<KeySpec>(KeySpecOf(operation(), compression));
  std::vector<PartPiece> pieces =
      value == nullptr ? EmptyPieces(cut.parts()) : cut.Pieces(*value, nullptr, /*encoded=*/false);
  PartAsks asks;
  asks.reserve(pieces.size());
  take_backs_.reserve(cut.parts());
  for (PartPiece& each : pieces) {
    PartRequest& request = Ask(Op::kInit, each.part, &asks);
    request.key = key;
    request.piece = std::move(each.piece);
    request.piece.create = true;
    undo_.Expect(request.id);
  }
  return asks;
}

absl::Status InitOperation::Take(Op op, size_t, Completion completion, PartAsks*) {
  if (op == Op::kTakeBack) {
    status_ = InitUndo::ErrorOf(status_, completion);
    return status_;
  }
  undo_.Noted(completion);
  return completion.status;
}

// Called when all INITs are over; and once more when the requests that take them back are, which
// leaves nothing more to take back.
void InitOperation::AllTaken(PartAsks* next) noexcept {
  if (status_.ok()) return;
  next->swap(take_backs_);  // memory for them is there since the Init was asked
  PartRequest take_back;
  while (undo_.TakeNext(&take_back)) {
    Ask(Op::kTakeBack, take_back.id.part, next).takes_back = take_back.takes_back;
  }
}

}  // namespace kvstore
