#include "server/core/fragments.h"

#include <fmt/format.h>

#include <utility>

namespace kvstore {

absl::Status ParkingLot::Full(const std::string& key) const {
  return absl::ResourceExhaustedError(fmt::format(
      "{}: {} of {} bytes for what comes before its turn are in use", key, bytes, bytes_max));
}

void Fragments::Fold(const Piece& piece, PartValue& value, SumIndex sum) {
  value.Fold(sum, piece);
  count_ = piece.fragments;
  ++folded_;
}

void Fragments::Park(const Piece& piece, ParkingLot& parking) {
  Piece copy = piece;
  // The piece's own bytes are gRPC's, which wants its read buffers back.
  copy.data = piece.data.Copy();
  parked_.emplace(piece.fragment, std::move(copy));
  count_ = piece.fragments;
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

void Fragments::DropParked(ParkingLot& parking) noexcept {
  for (const auto& [fragment, piece] : parked_) parking.bytes -= piece.data.size();
  parked_.clear();
}

}  // namespace kvstore
