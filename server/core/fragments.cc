#include "server/core/fragments.h"

#include <fmt/format.h>

namespace kvstore {

absl::Status ParkingLot::Full(const std::string& key) const {
  return absl::ResourceExhaustedError(fmt::format(
      "{}: {} of {} bytes for what comes before its turn are in use", key, bytes, bytes_max));
}

void Fragments::Fold(const Piece& piece, PartValue& value, SumIndex sum) {
  count_ = piece.fragments;
  value.Fold(sum, piece);
  ++folded_;
}

void Fragments::Park(const Piece& piece, ParkingLot& parking) {
  count_ = piece.fragments;
  Piece& parked = parked_[piece.fragment] = piece;
  // A copy: the piece's bytes are gRPC's, which wants its read buffers back.
  parked.data = piece.data.Copy();
  parking.bytes += piece.data.size();
}

void Fragments::Advance(ParkingLot& parking, PartValue& value, SumIndex sum) {
  for (auto it = parked_.find(folded_); it != parked_.end(); it = parked_.find(folded_)) {
    value.Fold(sum, it->second);
    parking.bytes -= it->second.data.size();
    parked_.erase(it);
    ++folded_;
  }
}

}  // namespace kvstore
