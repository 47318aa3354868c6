// Requests that wait for others, and their answers; the numbers of a shard.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/mutation.h"
#include "server/core/sequence.h"
#include "server/core/server_core_impl.h"

namespace kvstore {
PartSlot& ServerCore::Impl::AddSlot(PartId id) {
  std::unique_ptr<PartSlot>& slot = parts_[id];
  if (slot == nullptr) slot = std::make_unique<PartSlot>();
  return *slot;
}

absl::Status ServerCore::Impl::Park(Waiter waiter, bool* retry) {
  const PartId id = waiter.request.id();
  PartSlot* slot = Find(id);
  if (slot != nullptr) {
    for (Waiter& parked : slot->waiters) {
      if (parked.to.rank == waiter.to.rank && parked.request.request == waiter.request.request) {
        parked.to = waiter.to;
        return absl::OkStatus();
      }
    }
  }
  // Pushes are bounded by the rounds that may be open.
  if (waiter.request.op != Op::kPush && waiting_ >= options_.waiting_max) {
    return absl::ResourceExhaustedError(
        fmt::format("{}: at most {} requests may wait here", Label(id.key), options_.waiting_max));
  }
  if (!parking_.Fits(waiter.asked.data.size())) {
    *retry = true;
    return parking_.Full(Label(id.key));
  }
  if (!waiter.asked.data.empty()) waiter.asked.data = waiter.asked.data.Copy();
  parking_.bytes += waiter.asked.data.size();
  ++waiting_;
  (slot == nullptr ? AddSlot(id) : *slot).waiters.push_back(std::move(waiter));
  return absl::OkStatus();
}

void ServerCore::Impl::AnswerWaiters(PartSlot& slot, ReplyBatch& replies) {
  auto& waiters = slot.waiters;
  const size_t before = waiters.size();
  const auto answered = [&](const Waiter& waiter) {
    if (!Answer(waiter, *slot.part, replies)) return false;
    parking_.bytes -= waiter.asked.data.size();
    return true;
  };
  waiters.erase(std::remove_if(waiters.begin(), waiters.end(), answered), waiters.end());
  waiting_ -= before - waiters.size();
}

bool ServerCore::Impl::Answer(const Waiter& waiter, const Part& part, ReplyBatch& replies) {
  const PartId id = part.id();
  const Round round = waiter.request.round;
  ReplyEntry reply(waiter.request);
  reply.progress = Progress::kDone;
  const KeySpec* learns = nullptr;
  switch (waiter.request.op) {
    case Op::kInit:
      reply.SetStatus(CheckSameKey(part.key(), waiter.key));
      if (waiter.key.shape_unknown) learns = &part.key();
      break;
    case Op::kPush:
      if (part.DoneThrough(waiter.to.rank) < round) return false;
      reply.SetStatus(part.PushStatus(waiter.to.rank, round));
      break;
    default:  // kPull
      if (part.DoneThrough(waiter.to.rank) < round && !Broken(Mutation::kTornPull)) {
        return false;
      }
      if (round != 0 && part.PullIsLate(round)) {
        // A late duplicate.
        reply.SetStatus(
            absl::AbortedError(fmt::format("{} part {}: version {} is over, at {}", Label(id.key),
                                           id.part, round, part.version())));
        break;
      }
      if (!waiter.asked.data.empty() &&
          replies.ValueBytesTo(waiter.to) > options_.reply_bytes_max) {
        reply.progress = Progress::kUnspecified;
        reply.retry_after_ms = options_.retry_after_ms;
        reply.SetStatus(absl::ResourceExhaustedError(
            fmt::format("{} part {}: over {} bytes of values are on their way already",
                        Label(id.key), id.part, options_.reply_bytes_max)));
        break;
      }
      reply.version = part.version();
      reply.data = part.value().Read(waiter.asked);
      break;
  }
  replies.Add(waiter.to, std::move(reply), learns);
  return true;
}

void ServerCore::Impl::ForgetLast(WorkerRank rank) {
  for (auto& [id, slot] : parts_) {
    if (auto* sequence = dynamic_cast<PartSequence*>(slot->part.get())) sequence->ForgetLast(rank);
  }
}

bool ServerCore::Impl::IsForgotten(const Part& part, WorkerRank rank, Round round) {
  if (!Broken(Mutation::kAsyncDedupForgotten)) return false;
  const auto* sequence = dynamic_cast<const PartSequence*>(&part);
  return sequence != nullptr && sequence->Forgotten(rank, round);
}

ShardStatus ServerCore::Impl::Status() const {
  ShardStatus status;
  status.keys = keys_.size();
  status.value_bytes = value_bytes_;
  status.parked_bytes = parking_.bytes;
  status.committed_rounds = committed_rounds_;
  std::map<KeyId, OpenRoundInfo> open;
  for (const auto& [id, slot] : parts_) {
    if (slot->part == nullptr || !slot->part->open()) continue;
    const Part& part = *slot->part;
    OpenRoundInfo& info = open[id.key];
    const Round round = part.version() + 1;
    if (info.parts++ == 0 || round < info.round) {
      info.key = id.key;
      info.name = part.key().name;
      info.round = round;
      info.missing = part.Missing(view_);
    }
    info.since_ms =
        info.parts == 1 ? part.open_since_ms() : std::min(info.since_ms, part.open_since_ms());
  }
  for (auto& [key, info] : open) status.open_rounds.push_back(std::move(info));
  std::stable_sort(
      status.open_rounds.begin(), status.open_rounds.end(),
      [](const OpenRoundInfo& a, const OpenRoundInfo& b) { return a.since_ms < b.since_ms; });
  return status;
}

}  // namespace kvstore
