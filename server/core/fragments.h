// Fragments: what of one contribution has come. A contribution of many fragments counts when all
// are there; they are folded in ascending order, and those that come before their turn are parked.
//
// Shard-bound, pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "common/wire/frame.h"
#include "server/core/part_value.h"

namespace kvstore {

// Bytes of what waits for its turn, over all parts of a shard: contributions, ids of pulls.
struct ParkingLot {
  uint64_t bytes = 0;
  uint64_t bytes_max = 0;

  bool Fits(uint64_t more) const { return bytes + more <= bytes_max; }
  // Why something about `key` does not fit.
  absl::Status Full(const std::string& key) const;
};

// Names a contribution: what `rank` pushed as its round `round` > 0.
struct PushId {
  WorkerRank rank = 0;
  Round round = 0;
};

// The fragments of a contribution that have come and are folded in ascending order: a prefix of
// them is in the sum, others wait in the parking lot.
class Fragments {
 public:
  bool any() const { return count_ > 0; }
  // How many the contribution has; 0: none has come.
  uint32_t count() const { return count_; }
  bool Has(uint32_t fragment) const { return fragment < folded_ || parked_.count(fragment) != 0; }
  // All of them came.
  bool complete() const { return any() && folded_ + parked_.size() == count_; }
  // All of them are in the sum.
  bool folded() const { return any() && folded_ == count_; }
  // Some of them are in the sum.
  bool begun() const { return folded_ > 0; }
  // Whether `fragment` is the next one to be folded.
  bool Next(uint32_t fragment) const { return fragment == folded_; }

  // Adds the next fragment to the sum of `value`.
  void Fold(const Piece& piece, PartValue& value, SumIndex sum);
  // Keeps a copy of the piece, which fits the parking lot.
  void Park(const Piece& piece, ParkingLot& parking);
  // Folds the parked ones whose turn it is.
  void Advance(ParkingLot& parking, PartValue& value, SumIndex sum);

 private:
  uint32_t count_ = 0;
  uint32_t folded_ = 0;
  std::map<uint32_t, Piece> parked_;
};

}  // namespace kvstore
