// PartSequence: a part of an asynchronous store. Every push makes a version of its own when it
// comes, but each worker's pushes take effect in the order in which it made them.
//
// A push is named by (worker, part, round), where round counts the worker's own pushes of the part:
// what was applied is remembered as one number per worker. docs/decisions/0007 compares that with a
// window per slot.
//
// Shard-bound, pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "server/core/part.h"

namespace kvstore {

class PartSequence final : public Part {
 public:
  PartSequence(PartId id, const KeySpec* key, std::unique_ptr<PartValue> value, uint32_t workers)
      : Part(id, key, std::move(value)), applied_(workers) {}

  Accepted Contribute(int64_t now_ms, WorkerRank rank, Round round, const Piece& piece,
                      const View& view, ParkingLot& parking, PartMath& math) override;
  int CommitReady(const View& view, ParkingLot& parking, PartMath& math) override;

  Round DoneThrough(WorkerRank rank) const override { return applied_[rank]; }
  bool HasContribution(WorkerRank rank, Round round) const override {
    return early_.count({rank, round}) != 0;
  }
  absl::Status PushStatus(WorkerRank rank, Round round) const override;
  bool PullIsLate(Round) const override { return false; }  // any later value will do

  bool open() const override { return !early_.empty(); }
  int64_t open_since_ms() const override { return since_ms_; }
  // The workers whose earlier push is still on the way.
  std::vector<WorkerRank> Missing(const View& view) const override;

  // For a broken variant that forgets the last push of `rank`.
  void ForgetLast(WorkerRank rank) { forgotten_.insert({rank, applied_[rank]}); }
  bool Forgotten(WorkerRank rank, Round round) const {
    return forgotten_.count({rank, round}) != 0;
  }

 private:
  using PushId = std::pair<WorkerRank, Round>;
  // Applies the next push of `rank`, or notes why it cannot be: it is over in any case.
  void ApplyNext(WorkerRank rank, const Piece& piece, const View& view, PartMath& math);
  absl::Status ApplyOne(const Piece& piece, PartMath& math);

  std::vector<Round> applied_;             // by rank: the last push that is over
  std::map<PushId, Piece> early_;          // before their turn: all above applied_ + 1
  std::map<PushId, absl::Status> failed_;  // the latest of each worker
  int64_t since_ms_ = 0;                   // when early_ stopped being empty
  int applied_now_ = 0;                    // versions since the last CommitReady
  // Only in broken variants: applied before their turn; to be taken for new.
  std::set<PushId> swapped_, forgotten_;
};

}  // namespace kvstore
