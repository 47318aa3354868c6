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
                                        const Payload& data, const View& view, ParkingLot& parking,
                                        PartMath& math) {
  const PushId id{rank, round};
  if (round <= applied_[rank]) {
    if (Broken(Mutation::kAsyncDedupForgotten) && forgotten_.erase(id) != 0) {
      (void)Apply(math.Copy(data), math);
      ++applied_now_;
    }
    return Accepted::kDone;
  }
  if (round == applied_[rank] + 1) {
    ApplyNext(rank, math.Copy(data), view, math);
    return Accepted::kTaken;
  }
  if (Broken(Mutation::kAsyncOrderSwapped)) {
    if (!swapped_.insert(id).second) return Accepted::kRepeat;
    (void)Apply(math.Copy(data), math);
    ++applied_now_;
    return Accepted::kTaken;
  }
  if (early_.count(id) != 0) return Accepted::kRepeat;
  if (!parking.Fits(data.size())) return Accepted::kNoRoom;
  if (early_.empty()) since_ms_ = now_ms;
  early_[id] = math.Copy(data);
  parking.bytes += data.size();
  return Accepted::kTaken;
}

void PartSequence::ApplyNext(WorkerRank rank, MutableBufferPtr data, const View& view,
                             PartMath& math) {
  const Round round = ++applied_[rank];
  ++applied_now_;
  absl::Status status =
      view.has_updater
          ? Apply(std::move(data), math)
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
    const MutableBufferPtr data = std::move(it->second);
    it = early_.erase(it);
    parking.bytes -= data->size();
    ApplyNext(rank, data, view, math);
  }
  return std::exchange(applied_now_, 0);
}

absl::Status PartSequence::PushStatus(WorkerRank rank, Round round) const {
  const auto it = failed_.find({rank, round});
  return it == failed_.end() ? absl::OkStatus() : it->second;
}

std::vector<WorkerRank> PartSequence::Missing(const View&) const {
  std::vector<WorkerRank> missing;
  for (const auto& [id, data] : early_) {
    if (missing.empty() || missing.back() != id.first) missing.push_back(id.first);
  }
  return missing;
}

}  // namespace kvstore
