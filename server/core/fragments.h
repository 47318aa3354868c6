// Fragments: which fragments of one contribution have come. The contribution counts when all are
// there. They are added to the sum in ascending order; those that come before their turn are
// parked.
//
// Example: a contribution of 3 fragments, which arrive as 2, 0, 0 again, 1.
//
//   2        not the next one (that is 0): parked            folded 0 of 3, parked {2}
//   0        the next one: folded                            folded 1 of 3, parked {2}
//   0 again  Has(0): a repeat, which changes nothing
//   1        folded, and after it the parked 2 (Advance)     folded 3 of 3, parked {}
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

// How many bytes wait for their turn, over all parts of a shard: contributions, and the ids of
// pulls.
struct ParkingLot {
  uint64_t bytes = 0;
  uint64_t bytes_max = 0;

  bool Fits(uint64_t more) const { return bytes + more <= bytes_max; }
  // The error that something about `key` does not fit.
  absl::Status Full(const std::string& key) const;
};

// Names a contribution: what `rank` pushed as its round `round` > 0.
struct PushId {
  WorkerRank rank = 0;
  Round round = 0;
  uint64_t step = 0;  // of the worker, when it pushed; the same in all fragments
};

// What has come of one contribution: its first fragments are in the sum, others may be parked.
// What throws std::bad_alloc has done nothing; Advance() may have added some to the sum.
class Fragments {
 public:
  // Whether Advance has anything to fold.
  bool CanAdvance() const { return parked_.count(folded_) != 0; }
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
  // Forgets the parked ones.
  void DropParked(ParkingLot& parking) noexcept;
  // The step that it was pushed in.
  uint64_t step() const { return step_; }
  void set_step(uint64_t step) { step_ = step; }
  // Folds the parked ones whose turn it is.
  void Advance(ParkingLot& parking, PartValue& value, SumIndex sum);

 private:
  uint64_t step_ = 0;
  uint32_t count_ = 0;
  uint32_t folded_ = 0;
  std::map<uint32_t, Piece> parked_;
};

}  // namespace kvstore
