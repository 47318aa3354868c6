// PartRounds: a part of a synchronous store: rounds, from contributions to committed versions. The
// heart of "exactly once, same bits": who contributed to which round, the left fold in the order of
// ranks and of each one's fragments, what is folded at once and what is parked.
//
// Shard-bound, pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "server/core/part.h"

namespace kvstore {

class PartRounds final : public Part {
 public:
  using Part::Part;

  // Of a contribution to `push.round`, from every worker of the view.
  Accepted Contribute(int64_t now_ms, const PushId& push, const Piece& piece, const View& view,
                      ParkingLot& parking) override;
  // Commits every round that is complete.
  int CommitReady(const View& view, ParkingLot& parking) override;

  Round DoneThrough(WorkerRank) const override { return version(); }
  uint32_t FragmentsOf(WorkerRank rank, Round round) const override;
  bool PullIsLate(Round round) const override { return round < version(); }

  bool open() const override { return !rounds_.empty(); }
  int64_t open_since_ms() const override {
    return rounds_.empty() ? 0 : rounds_.begin()->second.since_ms;
  }
  // The ranks that round version()+1 still needs.
  std::vector<WorkerRank> Missing(const View& view) const override;

 private:
  absl::Status OutcomeOf(WorkerRank rank, Round round) const override;
  struct OpenRound {
    int64_t since_ms = 0;
    std::vector<Fragments> by_rank;
    // The value's sum has the contributions of all ranks below `next` and the first fragments of
    // `next`. Only in round version+1: so one sum is enough.
    WorkerRank next = 0;
  };

  OpenRound& RoundAt(int64_t now_ms, Round round, const View& view);
  // Folds what is parked and has its turn, and skips workers that left.
  void Advance(OpenRound& round, const View& view, ParkingLot& parking);
  static bool Complete(const OpenRound& round, const View& view);
  static bool Untouched(const OpenRound& round);
  // Something is in its sum.
  static bool HasSum(const OpenRound& round);
  void Commit();

  std::map<Round, OpenRound> rounds_;     // all above version()
  std::map<Round, absl::Status> failed_;  // the outcomes that are kept
};

}  // namespace kvstore
