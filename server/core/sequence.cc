#include "server/core/sequence.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/mutation.h"

namespace kvstore {

Part::Accepted PartSequence::Contribute(int64_t now_ms, const PushId& push, const Piece& piece,
                                        const View&, ParkingLot& parking) {
  const Name name{push.rank, push.round};
  if (push.round <= applied_[push.rank]) {
    if (Broken(Mutation::kAsyncDedupForgotten) && forgotten_.erase(name) != 0) {
      ApplyOutOfTurn(piece);
    }
    return Accepted::kDone;
  }
  if (Broken(Mutation::kAsyncOrderSwapped) && piece.fragments == 1 && !IsNext(name)) {
    if (!swapped_.insert(name).second) return Accepted::kRepeat;
    ApplyOutOfTurn(piece);
    return Accepted::kTaken;
  }
  const auto found = pushes_.find(name);
  if (found != pushes_.end() && found->second.Has(piece.fragment)) {
    if (Broken(Mutation::kFragmentTwice) && found->second.begun())
      own_value().Fold(push.rank, piece);
    return Accepted::kRepeat;
  }
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

int PartSequence::CommitReady(const View& view, ParkingLot& parking) {
  int commits = std::exchange(applied_out_of_turn_, 0);
  for (auto it = swapped_.begin(); it != swapped_.end();) {
    if (!IsNext(*it)) {
      ++it;
      continue;
    }
    ++applied_[it->first];
    it = swapped_.erase(it);
  }
  for (auto it = pushes_.begin(); it != pushes_.end();) {
    const WorkerRank rank = it->first.first;
    Fragments& fragments = it->second;
    if (IsNext(it->first)) fragments.Advance(parking, own_value(), rank);
    if (!IsNext(it->first) || !fragments.folded()) {
      ++it;
      continue;
    }
    fragments.Drop(parking);  // in broken variants only
    ApplyNext(rank, view);
    ++commits;
    it = pushes_.erase(it);
  }
  return commits;
}

void PartSequence::ApplyNext(WorkerRank rank, const View& view) {
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
  const Round forgotten = round > outcomes_kept() ? round - outcomes_kept() : 0;
  failed_.erase(failed_.lower_bound({rank, 0}), failed_.upper_bound({rank, forgotten}));
}

void PartSequence::ApplyOutOfTurn(const Piece& piece) {
  constexpr SumIndex kOwnSum = UINT32_MAX;  // the workers' are numbered by rank
  own_value().Fold(kOwnSum, piece);
  (void)own_value().Update(kOwnSum);
  ++applied_out_of_turn_;
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
