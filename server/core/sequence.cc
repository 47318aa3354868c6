#include "server/core/sequence.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/mutation.h"

namespace kvstore {
namespace {

// More than a worker may leave unanswered: see rounds.cc.
constexpr Round kFailuresKept = 64;

}  // namespace

Part::Accepted PartSequence::Contribute(int64_t now_ms, WorkerRank rank, Round round,
                                        const Piece& piece, const View& view, ParkingLot& parking,
                                        PartMath& math) {
  const PushId id{rank, round};
  if (round <= applied_[rank]) {
    if (Broken(Mutation::kAsyncDedupForgotten) && forgotten_.erase(id) != 0) {
      (void)ApplyOne(piece, math);
      ++applied_now_;
    }
    return Accepted::kDone;
  }
  if (round == applied_[rank] + 1) {
    ApplyNext(rank, piece, view, math);
    return Accepted::kTaken;
  }
  if (Broken(Mutation::kAsyncOrderSwapped)) {
    if (!swapped_.insert(id).second) return Accepted::kRepeat;
    (void)ApplyOne(piece, math);
    ++applied_now_;
    return Accepted::kTaken;
  }
  if (early_.count(id) != 0) return Accepted::kRepeat;
  if (!parking.Fits(piece.data.size())) return Accepted::kNoRoom;
  if (early_.empty()) since_ms_ = now_ms;
  early_[id] = {piece.rows, piece.data.Copy()};
  parking.bytes += piece.data.size();
  return Accepted::kTaken;
}

absl::Status PartSequence::ApplyOne(const Piece& piece, PartMath& math) {
  std::unique_ptr<PartSum> sum;
  math.Fold(key(), id(), piece, &sum);
  return Apply(std::move(sum), math);
}

void PartSequence::ApplyNext(WorkerRank rank, const Piece& piece, const View& view,
                             PartMath& math) {
  const Round round = ++applied_[rank];
  ++applied_now_;
  absl::Status status =
      view.has_updater
          ? ApplyOne(piece, math)
          : absl::FailedPreconditionError(fmt::format(
                "{}: an asynchronous push needs an updater: call SetOptimizer before the first "
                "Push",
                KeyLabel(key().key, key().name)));
  if (status.ok()) return;
  failed_[{rank, round}] = std::move(status);
  const Round oldest = round > kFailuresKept ? round - kFailuresKept : 0;
  failed_.erase(failed_.lower_bound({rank, 0}), failed_.lower_bound({rank, oldest}));
}

int PartSequence::CommitReady(const View& view, ParkingLot& parking, PartMath& math) {
  for (auto it = swapped_.begin(); it != swapped_.end();) {
    if (it->second != applied_[it->first] + 1) {
      ++it;
      continue;
    }
    ++applied_[it->first];
    it = swapped_.erase(it);
  }
  for (auto it = early_.begin(); it != early_.end();) {
    const auto [rank, round] = it->first;
    if (round != applied_[rank] + 1) {
      ++it;
      continue;
    }
    const Piece piece = std::move(it->second);
    it = early_.erase(it);
    parking.bytes -= piece.data.size();
    ApplyNext(rank, piece, view, math);
  }
  return std::exchange(applied_now_, 0);
}

absl::Status PartSequence::PushStatus(WorkerRank rank, Round round) const {
  const auto it = failed_.find({rank, round});
  return it == failed_.end() ? absl::OkStatus() : it->second;
}

std::vector<WorkerRank> PartSequence::Missing(const View&) const {
  std::vector<WorkerRank> missing;
  for (const auto& [id, piece] : early_) {
    if (missing.empty() || missing.back() != id.first) missing.push_back(id.first);
  }
  return missing;
}

}  // namespace kvstore
