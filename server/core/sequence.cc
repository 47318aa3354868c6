#include "server/core/sequence.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

namespace kvstore {

Part::Accepted PartSequence::Contribute(int64_t now_ms, const PushId& push, const Piece& piece,
                                        const View&, ParkingLot& parking) {
  const Name name{push.rank, push.round};
  if (push.round <= applied_[push.rank]) return Accepted::kDone;
  const auto found = pushes_.find(name);
  if (found != pushes_.end() && found->second.fragments.Has(piece.fragment)) {
    return Accepted::kRepeat;
  }
  // In turn are the fragments, in ascending order, of the worker's next push; all else is parked.
  // There is no waiting for other workers here.
  const bool next =
      IsNext(name) &&
      (found == pushes_.end() ? piece.fragment == 0 : found->second.fragments.Next(piece.fragment));
  if (!next && !parking.Fits(piece.data.size())) return Accepted::kNoRoom;
  if (pushes_.empty()) since_ms_ = now_ms;
  const auto mine = pushes_.try_emplace(name).first;
  Fragments& fragments = mine->second.fragments;
  try {
    if (next) {
      const WorkSpan span(recorder(),
                          ItemOf(Work::kFold, push.rank, push.round, piece.data.size()));
      fragments.Fold(piece, own_value(), push.rank);
    } else {
      fragments.Park(piece, parking);
    }
  } catch (const std::bad_alloc&) {
    if (!fragments.any()) pushes_.erase(mine);
    throw;
  }
  fragments.set_step(push.step);
  return Accepted::kTaken;
}

// Goes through the pushes in the order of (rank, round). Applying a push makes the next one of its
// rank, if it is here, the one whose turn it is, and that comes right after it in this order: so
// one pass is enough.
void PartSequence::CommitReady(const View& view, ParkingLot& parking, int* commits) {
  for (auto it = pushes_.begin(); it != pushes_.end();) {
    const WorkerRank rank = it->first.first;
    Fragments& fragments = it->second.fragments;
    NormExchange& norms = it->second.norms;
    if (IsNext(it->first)) {
      const WorkSpan span(fragments.CanAdvance() ? recorder() : nullptr,
                          ItemOf(Work::kFold, rank, it->first.second));
      fragments.Advance(parking, own_value(), rank);
    }
    if (!IsNext(it->first) || !fragments.folded()) {
      ++it;
      continue;
    }
    const RoundCounts counts{1, view.workers, fragments.step(), rank};
    if (view.has_updater && !norms.Advance(value(), rank, counts, norm_news())) {
      ++it;
      continue;
    }
    ApplyNext(rank, counts.step, view, norms);
    ++*commits;
    it = pushes_.erase(it);
  }
}

void PartSequence::ApplyNext(WorkerRank rank, uint64_t step, const View& view,
                             const NormExchange& norms) {
  failed_.MakeRoom();
  norm_log_.Note({rank, applied_[rank] + 1}, norms, value());
  absl::Status status;
  if (view.has_updater) {
    const WorkSpan span(recorder(), ItemOf(Work::kUpdate, rank, applied_[rank] + 1));
    const Round next = applied_[rank] + 1;
    status = UpdateWith(
        norms, rank, {1, view.workers, step, rank},
        RefusalOf([&](const PushId& push) { return push.rank == rank && push.round == next; }));
  } else {
    status = absl::FailedPreconditionError(fmt::format(
        "{}: an asynchronous push needs an updater: call SetOptimizer before the first Push",
        KeyLabel(key().key, key().name)));
    own_value().DropSum(rank);
  }
  // The push is over, whether it could be applied or not: those behind it must not wait for ever.
  // From here on nothing is allocated.
  const Round round = ++applied_[rank];
  CountUpdate(1, !status.ok());
  const Round forgotten = round > outcomes_kept() ? round - outcomes_kept() : 0;
  norm_log_.Forget({rank, 0}, {rank, forgotten});
  if (status.ok()) return;
  // Outcomes of failed pushes are kept for the last `outcomes_kept` rounds of the worker.
  failed_.Note({rank, round}, std::move(status));
  failed_.Forget({rank, 0}, {rank, forgotten});
}

uint32_t PartSequence::FragmentsOf(WorkerRank rank, Round round) const {
  const auto it = pushes_.find({rank, round});
  return it == pushes_.end() ? 0 : it->second.fragments.count();
}

bool PartSequence::Has(const PushId& push, uint32_t fragment) const {
  if (push.round <= applied_[push.rank]) return true;
  const auto found = pushes_.find({push.rank, push.round});
  return found != pushes_.end() && found->second.fragments.Has(fragment);
}

absl::Status PartSequence::TakeNorms(WorkerRank rank, Round round, const NormNote& note) {
  if (round <= applied_[rank]) return absl::OkStatus();
  const auto found = pushes_.find({rank, round});
  if (found != pushes_.end()) return found->second.norms.Take(note);
  return NormExchange().Take(note);  // nothing of the push is here
}

std::optional<NormNote> PartSequence::NormsOf(WorkerRank rank, Round round) const {
  const auto found = pushes_.find({rank, round});
  if (found == pushes_.end()) return norm_log_.Of({rank, round});
  if (!found->second.norms.waits()) return std::nullopt;
  return found->second.norms.Note(value());
}

bool PartSequence::measuring() const {
  return std::any_of(pushes_.begin(), pushes_.end(),
                     [](const auto& push) { return push.second.norms.waits(); });
}

bool PartSequence::measuring_from(uint64_t step) const {
  return std::any_of(pushes_.begin(), pushes_.end(), [step](const auto& push) {
    return push.second.norms.waits() && push.second.fragments.step() >= step;
  });
}

void PartSequence::DropParked(ParkingLot& parking) noexcept {
  for (auto& [name, push] : pushes_) push.fragments.DropParked(parking);
}

bool PartSequence::PullIsReady(const View& view, WorkerRank rank, Round round) const {
  if (round == 0) return true;  // also a reader's, which has no place in applied_
  if (applied_[rank] < round) return false;
  return !staleness_.has_value() || StalenessOf(view, round) <= *staleness_;
}

Part::PullWait PartSequence::WaitOfPull(const View& view, WorkerRank rank, Round round) const {
  if (applied_[rank] < round) return {round, {rank}};
  const Round awaited = staleness_.has_value() ? Awaited(round) : 0;
  return {awaited, Behind(view, awaited)};
}

uint64_t PartSequence::StalenessOf(const View& view, Round round) const {
  Round clock = round;
  for (WorkerRank rank = 0; rank < applied_.size(); ++rank) {
    if (!view.left[rank]) clock = std::min(clock, applied_[rank]);
  }
  return round - clock;
}

std::vector<WorkerRank> PartSequence::Behind(const View& view, Round round) const {
  std::vector<WorkerRank> behind;
  for (WorkerRank rank = 0; rank < applied_.size(); ++rank) {
    if (!view.left[rank] && applied_[rank] < round) behind.push_back(rank);
  }
  return behind;
}

absl::Status PartSequence::OutcomeOf(WorkerRank rank, Round round) const {
  return failed_.Of({rank, round});
}

std::vector<WorkerRank> PartSequence::Missing(const View&) const {
  std::vector<WorkerRank> missing;
  for (const auto& [push, open] : pushes_) {
    if (missing.empty() || missing.back() != push.first) missing.push_back(push.first);
  }
  return missing;
}

}  // namespace kvstore
