#include "server/core/rounds.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/mutation.h"

namespace kvstore {
namespace {

// More than a worker may leave unanswered (ClientCoreOptions::rounds_ahead_max): whoever still asks
// after a round that failed is told so.
constexpr size_t kFailedRoundsKept = 64;

}  // namespace

Part::Accepted PartRounds::Contribute(int64_t now_ms, WorkerRank rank, Round round,
                                      const Piece& piece, const View& view, ParkingLot& parking,
                                      PartMath& math) {
  if (round <= version()) return Accepted::kDone;
  const bool current = round == version() + 1;
  if (HasContribution(rank, round)) {
    OpenRound& open = rounds_.at(round);
    ++open.messages;
    if (Broken(Mutation::kNoDedup) && open.sum != nullptr) math.Fold(key(), id(), piece, &open.sum);
    return Accepted::kRepeat;
  }
  if (current) {
    OpenRound& open = RoundAt(now_ms, round, view);
    Advance(open, view, parking, math);
    if (open.next == rank || Broken(Mutation::kSumInArrivalOrder)) {
      ++open.messages;
      open.have[rank] = true;
      math.Fold(key(), id(), piece, &open.sum);
      if (open.next == rank) ++open.next;
      return Accepted::kTaken;
    }
  }
  if (!parking.Fits(piece.data.size())) {
    if (current && !rounds_.at(round).sum && rounds_.at(round).parked.empty()) rounds_.erase(round);
    return Accepted::kNoRoom;
  }
  OpenRound& open = RoundAt(now_ms, round, view);
  ++open.messages;
  open.have[rank] = true;
  open.parked[rank] = {piece.rows, piece.data.Copy()};
  parking.bytes += piece.data.size();
  return Accepted::kTaken;
}

int PartRounds::CommitReady(const View& view, ParkingLot& parking, PartMath& math) {
  int commits = 0;
  while (!rounds_.empty() && rounds_.begin()->first == version() + 1) {
    OpenRound& open = rounds_.begin()->second;
    Advance(open, view, parking, math);
    if (!Complete(open, view)) break;
    for (const auto& [rank, piece] : open.parked) parking.bytes -= piece.data.size();
    Commit(open, math);
    rounds_.erase(rounds_.begin());
    ++commits;
  }
  return commits;
}

bool PartRounds::HasContribution(WorkerRank rank, Round round) const {
  const auto it = rounds_.find(round);
  return it != rounds_.end() && it->second.have[rank];
}

absl::Status PartRounds::PushStatus(WorkerRank, Round round) const {
  const auto it = failed_.find(round);
  return it == failed_.end() ? absl::OkStatus() : it->second;
}

std::vector<WorkerRank> PartRounds::Missing(const View& view) const {
  std::vector<WorkerRank> missing;
  for (WorkerRank rank = 0; rank < view.workers; ++rank) {
    if (!view.left[rank] && !HasContribution(rank, version() + 1)) missing.push_back(rank);
  }
  return missing;
}

PartRounds::OpenRound& PartRounds::RoundAt(int64_t now_ms, Round round, const View& view) {
  auto [it, created] = rounds_.try_emplace(round);
  if (created) {
    it->second.since_ms = now_ms;
    it->second.have.resize(view.workers);
  }
  return it->second;
}

void PartRounds::Advance(OpenRound& round, const View& view, ParkingLot& parking, PartMath& math) {
  for (; round.next < view.workers; ++round.next) {
    if (!round.have[round.next]) {
      if (!view.left[round.next]) return;
      continue;
    }
    const auto it = round.parked.find(round.next);
    if (it == round.parked.end()) continue;  // folded on arrival (a broken variant only)
    math.Fold(key(), id(), it->second, &round.sum);
    parking.bytes -= it->second.data.size();
    round.parked.erase(it);
  }
}

bool PartRounds::Complete(const OpenRound& round, const View& view) {
  if (Broken(Mutation::kCountMessages)) {
    uint32_t needed = 0;
    for (WorkerRank rank = 0; rank < view.workers; ++rank) needed += view.left[rank] ? 0 : 1;
    return round.sum != nullptr && round.messages >= needed;
  }
  // `next` reached the end: every worker of the view contributed or left before it did.
  return round.next == view.workers && round.sum != nullptr;
}

void PartRounds::Commit(OpenRound& round, PartMath& math) {
  absl::Status status = Apply(std::move(round.sum), math);
  if (status.ok()) return;
  failed_[version()] = std::move(status);
  if (failed_.size() > kFailedRoundsKept) failed_.erase(failed_.begin());
}

}  // namespace kvstore
