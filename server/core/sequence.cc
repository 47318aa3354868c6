#include "server/core/sequence.h"

#include <fmt/format.h>

#include <utility>

namespace kvstore {

Part::Accepted PartSequence::Contribute(int64_t now_ms, const PushId& push, const Piece& piece,
                                        const View&, ParkingLot& parking) {
  const Name name{push.rank, push.round};
  if (push.round <= applied_[push.rank]) return Accepted::kDone;
  const auto found = pushes_.find(name);
  if (found != pushes_.end() && found->second.Has(piece.fragment)) {
    return Accepted::kRepeat;
  }
  // In turn are the fragments, in ascending order, of the worker's next push; all else is parked.
  // There is no waiting for other workers here.
  const bool next = IsNext(name) && (found == pushes_.end() ? piece.fragment == 0
                                                            : found->second.Next(piece.fragment));
  if (!next && !parking.Fits(piece.data.size())) return Accepted::kNoRoom;
  if (pushes_.empty()) since_ms_ = now_ms;
  Fragments& fragments = pushes_[name];
  if (next) {
    fragments.Fold(piece, own_value(), push.rank);
  } else {
    fragments.Park(piece, parking);
  }
  return Accepted::kTaken;
}

// Goes through the pushes in the order of (rank, round). Applying a push makes the next one of its
// rank, if it is here, the one whose turn it is, and that comes right after it in this order: so
// one pass is enough.
int PartSequence::CommitReady(const View& view, ParkingLot& parking) {
  int commits = 0;
  for (auto it = pushes_.begin(); it != pushes_.end();) {
    const WorkerRank rank = it->first.first;
    Fragments& fragments = it->second;
    if (IsNext(it->first)) fragments.Advance(parking, own_value(), rank);
    if (!IsNext(it->first) || !fragments.folded()) {
      ++it;
      continue;
    }
    ApplyNext(rank, view);
    ++commits;
    it = pushes_.erase(it);
  }
  return commits;
}

void PartSequence::ApplyNext(WorkerRank rank, const View& view) {
  // The push is over, whether it can be applied or not: those behind it must not wait for ever.
  const Round round = ++applied_[rank];
  absl::Status status;
  if (view.has_updater) {
    status = own_value().Update(rank);
  } else {
    own_value().DropSum(rank);
    status = absl::FailedPreconditionError(fmt::format(
        "{}: an asynchronous push needs an updater: call SetOptimizer before the first Push",
        KeyLabel(key().key, key().name)));
  }
  if (status.ok()) return;
  failed_[{rank, round}] = std::move(status);
  // Outcomes of failed pushes are kept for the last `outcomes_kept` rounds of the worker.
  const Round forgotten = round > outcomes_kept() ? round - outcomes_kept() : 0;
  failed_.erase(failed_.lower_bound({rank, 0}), failed_.upper_bound({rank, forgotten}));
}

uint32_t PartSequence::FragmentsOf(WorkerRank rank, Round round) const {
  const auto it = pushes_.find({rank, round});
  return it == pushes_.end() ? 0 : it->second.count();
}

absl::Status PartSequence::OutcomeOf(WorkerRank rank, Round round) const {
  const auto it = failed_.find({rank, round});
  return it == failed_.end() ? absl::OkStatus() : it->second;
}

std::vector<WorkerRank> PartSequence::Missing(const View&) const {
  std::vector<WorkerRank> missing;
  for (const auto& [push, open] : pushes_) {
    if (missing.empty() || missing.back() != push.first) missing.push_back(push.first);
  }
  return missing;
}

}  // namespace kvstore
