// Part: the value of one part at its version, and what becomes of the contributions to it. There
// are two kinds, by the mode of the job's store (common/model/store_mode.h): PartRounds for
// synchronous stores, PartSequence for asynchronous ones.
//
// Shard-bound, pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/wire/frame.h"
#include "server/core/fragments.h"
#include "server/core/norm_exchange.h"
#include "server/core/part_value.h"
#include "server/core/work_recorder.h"

namespace kvstore {

// The job, as the parts see it.
struct View {
  uint32_t workers = 0;
  std::vector<bool> left;    // by rank: rounds close without it, except those it contributed to
  bool has_updater = false;  // what an asynchronous push needs
  // Synchronous parts make no update of this step or a later one.
  uint64_t held_from = UINT64_MAX;
};

// Why an update is not made: "held by a change of the optimizer's numbers at step 7".
std::string HeldBy(uint64_t step);

class Part {
 public:
  // `outcomes_kept`: how a push went is remembered until so many later ones are over. `recorder`:
  // null, or outlives the part.
  Part(std::unique_ptr<PartValue> value, Round outcomes_kept, WorkRecorder* recorder = nullptr)
      : outcomes_kept_(outcomes_kept), recorder_(recorder), value_(std::move(value)) {}
  virtual ~Part() = default;
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  enum class Accepted {
    kTaken,   // folded, applied or parked: ours now
    kRepeat,  // had it already, its outcome is still open
    kDone,    // it is over: PushStatus() says how it went
    kNoRoom,  // nothing was kept: the parking lot is full
  };
  // A fragment of a contribution; `piece.fragments` is what the ones before it said. Does not
  // commit: call CommitReady() next. If it throws std::bad_alloc, nothing was kept.
  virtual Accepted Contribute(int64_t now_ms, const PushId& push, const Piece& piece,
                              const View& view, ParkingLot& parking) = 0;
  // Makes every version that can be made, in order, and adds to `*commits` how many. If it throws
  // std::bad_alloc, the others may be made later: nothing is lost, or counted twice.
  virtual void CommitReady(const View& view, ParkingLot& parking, int* commits) = 0;

  // The last round of `rank`'s pushes that is over, and with it all before.
  virtual Round DoneThrough(WorkerRank rank) const = 0;
  // How many fragments the contribution has of which some are held here and that is not over yet;
  // 0: there is none.
  virtual uint32_t FragmentsOf(WorkerRank rank, Round round) const = 0;
  // Whether the fragment is held here, or its push is over.
  virtual bool Has(const PushId& push, uint32_t fragment) const = 0;
  // How a push that is over went: OK, or why its update failed (the value stayed as it was).
  // OUT_OF_RANGE when more than `outcomes_kept` later ones of the worker are over, too, and its
  // outcome is forgotten. A worker that keeps to its window (at most `outcomes_kept` rounds from
  // the oldest that it waits for) never gets that, except as the answer to a late repeat.
  absl::Status PushStatus(WorkerRank rank, Round round) const;
  // Whether a pull of `rank` that names `round` may be answered: the pushes that it is to see are
  // in the value. (Round 0 is always over.)
  virtual bool PullIsReady(const View&, WorkerRank rank, Round round) const {
    return DoneThrough(rank) >= round;
  }
  // What a pull waits for that is not ready: a push, by its round, of each of these workers.
  struct PullWait {
    Round round = 0;
    std::vector<WorkerRank> missing;
  };
  virtual PullWait WaitOfPull(const View& view, WorkerRank, Round round) const {
    return {round, Missing(view)};
  }
  // Whether pulls wait for workers that are behind.
  virtual bool bounds_staleness() const { return false; }
  // By how many pushes the worker that is behind most has fewer in the value than `round`, which is
  // how many the pull's own worker has. 0 where rounds keep the workers together.
  virtual uint64_t StalenessOf(const View&, Round) const { return 0; }
  // Whether the answer to a pull that names `round` > 0 can no longer be given: its worker has
  // pushed again since, so it had the answer.
  virtual bool PullIsLate(Round round) const = 0;

  // Norms (norm_exchange.h). A NORMS request about the push; a repeat changes nothing. Call
  // CommitReady() next. Errors: FAILED_PRECONDITION: the push has not come this far.
  virtual absl::Status TakeNorms(WorkerRank rank, Round round, const NormNote& note) = 0;
  // What a worker is told of norms that asks after the push: that its update waits for those of the
  // whole value, or with which it was made. Nothing: it needs none, or its outcome is forgotten.
  virtual std::optional<NormNote> NormsOf(WorkerRank rank, Round round) const = 0;
  // Whether an update waits for norms.
  virtual bool measuring() const = 0;
  // Whether its next update has all that it needs, and is held (View::held_from).
  virtual bool held(const View&) const { return false; }
  // Whether an update of this step, or a later one, waits for norms that a change of the
  // optimizer's numbers from that step on would make wrong.
  virtual bool measuring_from(uint64_t step) const = 0;
  // Whether an update has begun to since the last call.
  bool TakeNormNews() { return std::exchange(norm_news_, false); }
  // The part is about to go: its value is for another one to go on with.
  std::unique_ptr<PartValue> TakeValue() noexcept { return std::move(value_); }
  // The value of a part that was made without one.
  void GiveValue(std::unique_ptr<PartValue> value) noexcept { value_ = std::move(value); }
  // As PartValue's.
  absl::Status StageState(const StatePage& page) { return value_->StageState(page); }
  absl::Status CommitState() { return value_->CommitState(); }
  void DropStagedState() noexcept { value_->DropStagedState(); }
  // Its value is about to go: what is parked here takes no room in the parking lot any more.
  virtual void DropParked(ParkingLot& parking) noexcept = 0;

  // Whether anything waits for others; since when; for whom.
  virtual bool open() const = 0;
  virtual int64_t open_since_ms() const = 0;
  virtual std::vector<WorkerRank> Missing(const View& view) const = 0;

  // No update that was begun here is of a later step.
  uint64_t begun_step() const { return begun_step_; }

  // Pages of rows that pushes bring which are not over: room for them is kept. Each push is counted
  // by itself, also where several bring the same rows. May throw std::bad_alloc.
  void Reserve(const PushId& push, uint64_t pages) {
    reserved_.push_back({push, pages});
    reserved_pages_ += pages;
  }
  // There is no room for what the push brings: its update will fail with `why`, whatever else it
  // sums. May throw std::bad_alloc.
  void Refuse(const PushId& push, absl::Status why) {
    reserved_.push_back({push, 0, std::move(why)});
  }
  // Takes the last Reserve or Refuse back.
  void Unreserve() noexcept {
    reserved_pages_ -= reserved_.back().pages;
    reserved_.pop_back();
  }
  // Forgets what was kept for pushes that are over.
  void ReleaseReserved() noexcept;
  uint64_t reserved_pages() const { return reserved_pages_; }
  bool has_reserved() const { return !reserved_.empty(); }

  Round version() const { return value_->version(); }
  // How many contributions are in the versions so far, and how many updates failed.
  uint64_t pushes() const { return pushes_; }
  uint64_t failures() const { return failures_; }
  const PullFigures& pull_figures() const { return pulled_; }
  void CountPull(uint64_t staleness) {
    ++pulled_.pulls;
    pulled_.staleness_sum += staleness;
    pulled_.staleness_max = std::max(pulled_.staleness_max, staleness);
  }
  const PartValue& value() const { return *value_; }
  const KeySpec& key() const { return value_->key(); }
  PartId id() const { return value_->id(); }

 protected:
  PartValue& own_value() { return *value_; }
  // An update by the sum of so many contributions is over.
  void CountUpdate(uint64_t contributions, bool failed) {
    pushes_ += contributions;
    failures_ += failed ? 1 : 0;
  }
  WorkRecorder* recorder() const { return recorder_; }
  // The item of work of this kind about the contribution of `rank` to `round`.
  WorkItem ItemOf(Work work, WorkerRank rank, Round round, uint64_t bytes = 0) const {
    return {work, &key(), id().part, round, rank, bytes, round};
  }

  Round outcomes_kept() const { return outcomes_kept_; }
  // Makes the next version, by the sum and its norms; or with the value as it is, if `refused` or
  // the norms say why.
  absl::Status UpdateWith(const NormExchange& norms, SumIndex sum, const RoundCounts& counts,
                          absl::Status refused) {
    if (refused.ok()) refused = norms.failed();
    if (refused.ok()) return own_value().Update(sum, counts, norms.norms());
    own_value().SkipUpdate(sum);
    return refused;
  }
  // Why a push was refused that `is_one` (PushId) says yes to: of those the one of the lowest rank.
  template <typename IsOne>
  absl::Status RefusalOf(const IsOne& is_one) const {
    const Reserved* found = nullptr;
    for (const Reserved& each : reserved_) {
      if (each.refused.ok() || !is_one(each.push)) continue;
      if (found == nullptr || each.push.rank < found->push.rank) found = &each;
    }
    return found == nullptr ? absl::OkStatus() : found->refused;
  }
  bool* norm_news() { return &norm_news_; }
  // An update of that step is being measured, or made.
  void NoteBegun(uint64_t step) { begun_step_ = std::max(begun_step_, step); }

 private:
  // Why the update of a push failed that is over and whose outcome is still known.
  virtual absl::Status OutcomeOf(WorkerRank rank, Round round) const = 0;

  const Round outcomes_kept_;
  WorkRecorder* const recorder_;
  std::unique_ptr<PartValue> value_;
  uint64_t pushes_ = 0;
  uint64_t failures_ = 0;
  uint64_t begun_step_ = 0;
  PullFigures pulled_;
  struct Reserved {
    PushId push;
    uint64_t pages = 0;
    absl::Status refused{};  // or why there is no room
  };
  std::vector<Reserved> reserved_;
  uint64_t reserved_pages_ = 0;
  bool norm_news_ = false;
};

}  // namespace kvstore
