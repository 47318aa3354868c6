#include "client/dist/push_operation.h"

#include <utility>

namespace kvstore {
namespace {

std::vector<PartPiece> PiecesOf(const EncodedContribution& encoded) {
  std::vector<PartPiece> pieces(encoded.parts.size());
  for (PartIndex part = 0; part < pieces.size(); ++part) {
    pieces[part].part = part;
    pieces[part].piece.codec = encoded.codec;
    pieces[part].piece.data = Payload(BufferPtr(encoded.parts[part]));
  }
  return pieces;
}

}  // namespace

void PushOperation::AddAsks(const Cut& cut, const Contribution& contribution, LentParts* lent,
                            PartCodec& codec, PartAsks* asks) {
  std::vector<PartPiece> pieces;
  if (contribution.encoded != nullptr) {
    pieces = PiecesOf(*contribution.encoded);
    encoding_ = [encoded = contribution.encoded](PartCodec::Encoded done) {
      encoded->accept();
      done(static_cast<PartIndex>(encoded->parts.size()));
    };
  } else {
    pieces = cut.Pieces(contribution, lent, codec.Encodes(operation()));
    encoding_ = codec.Prepare(operation(), &pieces);
  }
  for (PartPiece& each : pieces) {
    Ask(Op::kPush, each.part, asks).piece = std::move(each.piece);
  }
}

void PushOperation::Encode(PartCodec::Encoded encoded) noexcept {
  std::exchange(encoding_, nullptr)(encoded);
}

}  // namespace kvstore
