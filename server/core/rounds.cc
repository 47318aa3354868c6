#include "server/core/rounds.h"

#include <algorithm>
#include <new>
#include <utility>

#include "common/base/check.h"

namespace kvstore {
namespace {

// Only the open round is summed, so one sum is enough: number 0.
constexpr SumIndex kSum = 0;

}  // namespace

// With the example of the header, at version 4: rank 1's push of round 5 finds next = 0, which is
// not its rank, and is parked; rank 0's is folded. Neither commits: the caller calls CommitReady,
// which folds what is parked and has its turn now (here rank 1's), so that afterwards next = 2.
Part::Accepted PartRounds::Contribute(int64_t now_ms, const PushId& push, const Piece& piece,
                                      const View& view, ParkingLot& parking) {
  // Exactly once: a round that is committed takes nothing more, and a fragment that is here is not
  // taken again.
  if (push.round <= version()) return Accepted::kDone;
  const auto found = rounds_.find(push.round);
  if (found != rounds_.end() && found->second.by_rank[push.rank].Has(piece.fragment)) {
    return Accepted::kRepeat;
  }
  const bool current = push.round == version() + 1;
  OpenRound& open = RoundAt(now_ms, push.round, view);
  // Where nothing is kept, the round that RoundAt may just have made must not stay open, or it
  // would be shown as waiting for everybody.
  try {
    const Accepted accepted = Take(open, current, push.rank, piece, view, parking);
    if (accepted == Accepted::kTaken) open.by_rank[push.rank].set_step(push.step);
    if (accepted == Accepted::kNoRoom && Untouched(open)) rounds_.erase(push.round);
    return accepted;
  } catch (const std::bad_alloc&) {
    if (Untouched(open)) rounds_.erase(push.round);
    throw;
  }
}

Part::Accepted PartRounds::Take(OpenRound& open, bool current, WorkerRank rank, const Piece& piece,
                                const View& view, ParkingLot& parking) {
  Fragments& mine = open.by_rank[rank];
  // A turn may have come since the last fragment: parked ones are folded first, because the fold
  // goes in rank order (I2), and this piece may come right after them.
  if (current) {
    Advance(open, view, parking);
    if (open.next == rank && mine.Next(piece.fragment)) {
      const WorkSpan span(recorder(), ItemOf(Work::kFold, rank, version() + 1, piece.data.size()));
      mine.Fold(piece, own_value(), kSum);
      return Accepted::kTaken;
    }
  }
  // Not its turn, so it has to wait in our own memory. Without room it is put off.
  if (!parking.Fits(piece.data.size())) return Accepted::kNoRoom;
  mine.Park(piece, parking);
  return Accepted::kTaken;
}

// A commit can make the next round complete, whose contributions may all be parked already. So this
// goes on until a round lacks something.
void PartRounds::CommitReady(const View& view, ParkingLot& parking, int* commits) {
  while (!rounds_.empty() && rounds_.begin()->first == version() + 1) {
    OpenRound& open = rounds_.begin()->second;
    Advance(open, view, parking);
    if (!Complete(open, view)) break;
    const RoundCounts counts = CountsOf(open, view);
    if (counts.step >= view.held_from) break;
    NoteBegun(counts.step);
    if (!open.norms.Advance(value(), kSum, counts, norm_news())) break;
    Commit(open, counts);
    rounds_.erase(rounds_.begin());
    ++*commits;
  }
}

bool PartRounds::held(const View& view) const {
  if (rounds_.empty() || rounds_.begin()->first != version() + 1) return false;
  const OpenRound& open = rounds_.begin()->second;
  return Complete(open, view) && CountsOf(open, view).step >= view.held_from;
}

uint32_t PartRounds::FragmentsOf(WorkerRank rank, Round round) const {
  const auto it = rounds_.find(round);
  return it == rounds_.end() ? 0 : it->second.by_rank[rank].count();
}

bool PartRounds::Has(const PushId& push, uint32_t fragment) const {
  if (push.round <= version()) return true;
  const auto found = rounds_.find(push.round);
  return found != rounds_.end() && found->second.by_rank[push.rank].Has(fragment);
}

absl::Status PartRounds::TakeNorms(WorkerRank, Round round, const NormNote& note) {
  if (round <= version()) return absl::OkStatus();
  const auto found = rounds_.find(round);
  if (found != rounds_.end()) return found->second.norms.Take(note);
  return NormExchange().Take(note);  // nothing of the round is here
}

std::optional<NormNote> PartRounds::NormsOf(WorkerRank, Round round) const {
  const auto found = rounds_.find(round);
  if (found == rounds_.end()) return norm_log_.Of(round);
  if (!found->second.norms.waits()) return std::nullopt;
  return found->second.norms.Note(value());
}

void PartRounds::DropParked(ParkingLot& parking) noexcept {
  for (auto& [round, open] : rounds_) {
    for (Fragments& fragments : open.by_rank) fragments.DropParked(parking);
  }
}

absl::Status PartRounds::OutcomeOf(WorkerRank, Round round) const { return failed_.Of(round); }

std::vector<WorkerRank> PartRounds::Missing(const View& view) const {
  const auto it = rounds_.find(version() + 1);
  std::vector<WorkerRank> missing;
  for (WorkerRank rank = 0; rank < view.workers; ++rank) {
    const Fragments* mine = it == rounds_.end() ? nullptr : &it->second.by_rank[rank];
    // A worker that left is missed only if it has begun a contribution: then the round needs the
    // rest.
    const bool began = mine != nullptr && mine->any();
    if (began ? !mine->complete() : !view.left[rank]) missing.push_back(rank);
  }
  return missing;
}

PartRounds::OpenRound& PartRounds::RoundAt(int64_t now_ms, Round round, const View& view) {
  const auto found = rounds_.find(round);
  if (found != rounds_.end()) return found->second;
  OpenRound fresh;
  fresh.since_ms = now_ms;
  fresh.by_rank.resize(view.workers);
  return rounds_.emplace(round, std::move(fresh)).first->second;
}

bool PartRounds::Untouched(const OpenRound& round) {
  return std::none_of(round.by_rank.begin(), round.by_rank.end(),
                      [](const Fragments& fragments) { return fragments.any(); });
}

// Moves `next` on as far as it goes. With 4 workers and next = 1, where rank 1 has left without
// contributing, rank 2 has parked all of its 3 fragments, and rank 3 only fragment 0 of 2: rank 1
// is skipped, rank 2 is folded, rank 3's fragment 0 is folded, and next stays 3 until its fragment
// 1 has come.
void PartRounds::Advance(OpenRound& round, const View& view, ParkingLot& parking) {
  for (; round.next < view.workers; ++round.next) {
    Fragments& fragments = round.by_rank[round.next];
    if (!fragments.any() && view.left[round.next]) continue;
    {
      const WorkSpan span(fragments.CanAdvance() ? recorder() : nullptr,
                          ItemOf(Work::kFold, round.next, version() + 1));
      fragments.Advance(parking, own_value(), kSum);
    }
    if (!fragments.folded()) return;
  }
}

bool PartRounds::HasSum(const OpenRound& round) {
  return std::any_of(round.by_rank.begin(), round.by_rank.end(),
                     [](const Fragments& fragments) { return fragments.begun(); });
}

bool PartRounds::Complete(const OpenRound& round, const View& view) {
  // `next` reached the end: every worker of the view contributed or left before it did.
  return round.next == view.workers && HasSum(round);
}

RoundCounts PartRounds::CountsOf(const OpenRound& round, const View& view) {
  const auto contributors =
      std::count_if(round.by_rank.begin(), round.by_rank.end(),
                    [](const Fragments& fragments) { return fragments.begun(); });
  RoundCounts counts{static_cast<uint32_t>(contributors), view.workers};
  // Of the lowest rank, so that it does not depend on who came when (I12).
  const auto lowest = std::find_if(round.by_rank.begin(), round.by_rank.end(),
                                   [](const Fragments& fragments) { return fragments.begun(); });
  if (lowest != round.by_rank.end()) counts.step = lowest->step();
  return counts;
}

void PartRounds::Commit(const OpenRound& round, const RoundCounts& counts) {
  // The version rises also if the update fails: the round is over, and all who contributed are told
  // why. The outcome is kept for as long as a worker may still ask after the round.
  failed_.MakeRoom();
  norm_log_.Note(version() + 1, round.norms, value());
  WorkSpan span(recorder(), {Work::kUpdate, &key(), id().part, version() + 1, kOfNoWorker, 0, 0});
  const Round next = version() + 1;
  absl::Status status =
      UpdateWith(round.norms, kSum, counts,
                 RefusalOf([next](const PushId& push) { return push.round == next; }));
  span.End();
  for (WorkerRank rank = 0; span.recorded() && rank < round.by_rank.size(); ++rank) {
    if (round.by_rank[rank].begun()) span.Joins(rank, version());
  }
  CountUpdate(counts.contributors, !status.ok());
  if (version() > outcomes_kept()) norm_log_.Forget(0, version() - outcomes_kept());
  if (status.ok()) return;
  failed_.Note(version(), std::move(status));
  if (version() > outcomes_kept()) failed_.Forget(0, version() - outcomes_kept());
}

}  // namespace kvstore
