#include "client/dist/push_operation.h"

#include <utility>

namespace kvstore {

void PushOperation::AddAsks(const Cut& cut, const Contribution& contribution, LentParts* lent,
                            PartCodec& codec, std::vector<PartAsk>* asks) {
  std::vector<PartPiece> pieces = cut.Pieces(contribution, lent);
  encoding_ = codec.Prepare(operation(), &pieces);
  for (PartPiece& each : pieces) {
    Ask(Op::kPush, each.part, asks).piece = std::move(each.piece);
  }
}

bool PushOperation::Encode() noexcept {
  if (encoding_ == nullptr) return false;
  encoding_();
  encoding_ = nullptr;
  return true;
}

}  // namespace kvstore
