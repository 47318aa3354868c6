// PartRounds: a part of a synchronous store, from contributions to committed versions. The heart of
// "exactly once, same bits": who has contributed to which round, what is folded at once and what is
// parked, and when a round is complete.
//
// Round version() + 1 is the open round whose sum is being made: each contribution is added when it
// is its rank's turn, ranks in ascending order, and parked when it comes before. Contributions to
// later rounds are parked, whoever they are from. So one sum per part is enough.
//
// Example: 3 workers, the part is at version 4, and every contribution is one fragment.
//
//   rank 1 pushes round 5        its turn comes after rank 0's: parked
//   rank 0 pushes round 5        its turn: added to the sum at once; then rank 1's parked one is,
//                                too, and its bytes leave the parking lot; the next turn is rank
//                                2's
//   rank 0 pushes round 6        a later round: parked
//   rank 2 pushes round 5        added; no rank is left, so version 5 is made of the sum, and all
//                                three are answered; now round 6 is the one that is summed, and
//                                rank 0's parked contribution is added
//   rank 1 pushes round 5 again  (the answer was lost) kDone: version 5 has it already
//   rank 1 leaves the job        round 6 skips it; a contribution that it had made before would
//                                count
//
// Shard-bound, pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "server/core/failed_updates.h"
#include "server/core/part.h"

namespace kvstore {

class PartRounds final : public Part {
 public:
  using Part::Part;

  // Takes a fragment of the contribution to round `push.round`, which needs one from every worker
  // of the view.
  Accepted Contribute(int64_t now_ms, const PushId& push, const Piece& piece, const View& view,
                      ParkingLot& parking) override;
  // Commits every round that is complete.
  void CommitReady(const View& view, ParkingLot& parking, int* commits) override;

  Round DoneThrough(WorkerRank) const override { return version(); }
  uint32_t FragmentsOf(WorkerRank rank, Round round) const override;
  bool Has(const PushId& push, uint32_t fragment) const override;
  bool PullIsLate(Round round) const override { return round < version(); }

  absl::Status TakeNorms(WorkerRank rank, Round round, const NormNote& note) override;
  std::optional<NormNote> NormsOf(WorkerRank rank, Round round) const override;
  bool measuring() const override {
    return !rounds_.empty() && rounds_.begin()->second.norms.waits();
  }
  // An update of a synchronous part that has begun to measure counts as begun (begun_step), and no
  // change of numbers reaches back to it.
  bool measuring_from(uint64_t) const override { return false; }

  bool held(const View& view) const override;
  void DropParked(ParkingLot& parking) noexcept override;
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
    // Whose turn it is: the value's sum has the contributions of all ranks below `next`, and
    // perhaps the first fragments of rank `next`'s. Above 0 only in round version() + 1.
    WorkerRank next = 0;
    NormExchange norms;
  };

  OpenRound& RoundAt(int64_t now_ms, Round round, const View& view);
  // A fragment of `rank` that has not come yet. `current`: of round version()+1.
  Accepted Take(OpenRound& open, bool current, WorkerRank rank, const Piece& piece,
                const View& view, ParkingLot& parking);
  // Adds what is parked and has its turn to the sum; skips workers that left without contributing.
  void Advance(OpenRound& round, const View& view, ParkingLot& parking);
  static bool Complete(const OpenRound& round, const View& view);
  static bool Untouched(const OpenRound& round);
  // Whether anything has been added to its sum.
  static bool HasSum(const OpenRound& round);
  static RoundCounts CountsOf(const OpenRound& round, const View& view);
  void Commit(const OpenRound& round, const RoundCounts& counts);

  std::map<Round, OpenRound> rounds_;  // all above version()
  FailedUpdates<Round> failed_;        // as many outcomes as are kept
  NormLog<Round> norm_log_;            // as many
};

}  // namespace kvstore
