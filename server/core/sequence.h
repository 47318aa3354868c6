// PartSequence: a part of an asynchronous store. Every push makes a version of its own as soon as
// all of it has come, whatever the other workers do; but the pushes of one worker take effect in
// the order in which it made them.
//
// Example: 2 workers. Rounds count each worker's own pushes of the part.
//
//   rank 1 pushes round 2   its round 1 has not come yet: parked
//   rank 0 pushes round 1   the next one of rank 0: applied, version 1
//   rank 1 pushes round 1   applied, version 2; then its parked round 2 is, too: version 3
//   rank 0 pulls round 1    answered at once, with version 3: round 1 of rank 0 is in it
//
// With a bound on staleness (stores of type dist_ssp:<s>, here s = 2) a pull waits until its worker
// is not too far ahead. The clock of the part is the least number of pushes that any worker has in
// it; workers that left do not count.
//
//   rank 0 has pushed 3 times, rank 1 once: the clock is 1
//   rank 0 pulls round 3    answered at once: the clock is at least 3 - 2. Its staleness is 2
//   rank 0 pushes round 4, and pulls it: the clock is below 4 - 2, so the pull waits for rank 1
//   rank 1 pushes round 2   the clock is 2: rank 0 is answered. Had rank 1 left, likewise
//   rank 1 pulls round 2    whoever is behind most never waits: its own pushes are the clock
//
// So a worker's n-th value has the first n - s pushes of everybody in it. Pushes never wait, nor
// does the pull of a worker that has not pushed. Nobody waits in a circle over one part; over
// several ones, workers that push them in different orders and pull between may, as on a
// synchronous store.
//
// A push is named by (worker, part, round): what was applied is remembered as one number per
// worker. docs/decisions/0007 compares that with a window of sequence numbers per slot.
//
// The fragments of a worker's next push are folded as they come, so a part may have one sum for
// each worker, numbered by its rank.
//
// Shard-bound, pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "server/core/failed_updates.h"
#include "server/core/part.h"

namespace kvstore {

class PartSequence final : public Part {
 public:
  // `staleness`: the bound, if there is one.
  PartSequence(std::unique_ptr<PartValue> value, Round outcomes_kept, uint32_t workers,
               std::optional<uint64_t> staleness = {}, WorkRecorder* recorder = nullptr)
      : Part(std::move(value), outcomes_kept, recorder), staleness_(staleness), applied_(workers) {}

  Accepted Contribute(int64_t now_ms, const PushId& push, const Piece& piece, const View& view,
                      ParkingLot& parking) override;
  void CommitReady(const View& view, ParkingLot& parking, int* commits) override;

  Round DoneThrough(WorkerRank rank) const override { return applied_[rank]; }
  uint32_t FragmentsOf(WorkerRank rank, Round round) const override;
  bool Has(const PushId& push, uint32_t fragment) const override;
  bool PullIsReady(const View& view, WorkerRank rank, Round round) const override;
  PullWait WaitOfPull(const View& view, WorkerRank rank, Round round) const override;
  bool bounds_staleness() const override { return staleness_.has_value(); }
  uint64_t StalenessOf(const View& view, Round round) const override;
  bool PullIsLate(Round) const override { return false; }  // any later value will do

  absl::Status TakeNorms(WorkerRank rank, Round round, const NormNote& note) override;
  std::optional<NormNote> NormsOf(WorkerRank rank, Round round) const override;
  bool measuring() const override;
  bool measuring_from(uint64_t step) const override;

  void DropParked(ParkingLot& parking) noexcept override;
  bool open() const override { return !pushes_.empty(); }
  int64_t open_since_ms() const override { return since_ms_; }
  // The workers of whose pushes only some fragments, or only later rounds, have come.
  std::vector<WorkerRank> Missing(const View& view) const override;

 private:
  absl::Status OutcomeOf(WorkerRank rank, Round round) const override;
  using Name = std::pair<WorkerRank, Round>;
  bool IsNext(const Name& push) const { return push.second == applied_[push.first] + 1; }
  // Applies the next push of `rank`, or notes why it cannot be: it is over in any case.
  // `step`: of the push.
  void ApplyNext(WorkerRank rank, uint64_t step, const View& view, const NormExchange& norms);

  // The workers of the view, less those that left, of whose pushes fewer than `round` are applied.
  std::vector<WorkerRank> Behind(const View& view, Round round) const;
  // The push that everybody must have made before a worker with `round` of its own may pull.
  Round Awaited(Round round) const { return round > *staleness_ ? round - *staleness_ : 0; }

  struct Push {
    Fragments fragments;
    NormExchange norms;
  };

  const std::optional<uint64_t> staleness_;
  std::vector<Round> applied_;   // by rank: the last push that is over
  std::map<Name, Push> pushes_;  // what has come of those above applied_
  FailedUpdates<Name> failed_;   // as many outcomes as are kept
  NormLog<Name> norm_log_;       // as many
  int64_t since_ms_ = 0;         // when pushes_ stopped being empty
};

}  // namespace kvstore
