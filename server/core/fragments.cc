#include "server/core/fragments.h"

#include <fmt/format.h>

#include "common/base/mutation.h"

namespace kvstore {

absl::Status ParkingLot::Full(const std::string& key) const {
  return absl::ResourceExhaustedError(fmt::format(
      "{}: {} of {} bytes for what comes before its turn are in use", key, bytes, bytes_max));
}

bool Fragments::folded() const {
  return any() && (folded_ == count_ || (Broken(Mutation::kFragmentIsWhole) && folded_ > 0));
}

bool Fragments::Next(uint32_t fragment) const {
  return fragment == folded_ || Broken(Mutation::kFragmentOutOfOrder);
}

void Fragments::Fold(const Piece& piece, PartValue& value, SumIndex sum) {
  count_ = piece.fragments;
  value.Fold(sum, piece);
  if (piece.fragment == folded_) {
    ++folded_;
  } else {
    swapped_.insert(piece.fragment);
  }
}

void Fragments::Park(const Piece& piece, ParkingLot& parking) {
  count_ = piece.fragments;
  Piece& parked = parked_[piece.fragment] = piece;
  parked.data = piece.data.Copy();
  parking.bytes += piece.data.size();
}

void Fragments::Advance(ParkingLot& parking, PartValue& value, SumIndex sum) {
  while (true) {
    if (swapped_.erase(folded_) != 0) {
      ++folded_;
      continue;
    }
    const auto it = parked_.find(folded_);
    if (it == parked_.end()) return;
    value.Fold(sum, it->second);
    parking.bytes -= it->second.data.size();
    parked_.erase(it);
    ++folded_;
  }
}

void Fragments::Drop(ParkingLot& parking) {
  for (const auto& [fragment, piece] : parked_) parking.bytes -= piece.data.size();
  parked_.clear();
}

}  // namespace kvstore
