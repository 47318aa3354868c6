#include "server/core/waiting_room.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "server/core/no_memory.h"

namespace kvstore {

void WaitingRoom::Clear() {
  parking_.bytes = 0;
  waiting_ = readers_waiting_ = 0;
}

Waiter* WaitingRoom::Find(PartRecord& record, const ReplyTo& from, RequestId request) {
  for (Waiter& waiter : record.waiters) {
    if (waiter.to.rank == from.rank && waiter.to.incarnation == from.incarnation &&
        waiter.request.request == request) {
      return &waiter;
    }
  }
  return nullptr;
}

void WaitingRoom::CountIn(const Waiter& waiter) noexcept {
  parking_.bytes += waiter.asked.data.size();
  ++waiting_;
  readers_waiting_ += waiter.to.rank == kReaderRank ? 1 : 0;
}

void WaitingRoom::CountOut(const Waiter& waiter) noexcept {
  parking_.bytes -= waiter.asked.data.size();
  --waiting_;
  readers_waiting_ -= waiter.to.rank == kReaderRank ? 1 : 0;
}

void WaitingRoom::ForgetReader(PeerId peer) noexcept {
  if (readers_waiting_ == 0) return;
  parts_->ForgetWaiters([&](std::vector<Waiter>& waiters) {
    const auto gone = std::stable_partition(waiters.begin(), waiters.end(), [&](const Waiter& w) {
      return w.to.rank != kReaderRank || w.to.peer != peer;
    });
    std::for_each(gone, waiters.end(), [&](const Waiter& w) { CountOut(w); });
    waiters.erase(gone, waiters.end());
  });
}

absl::Status WaitingRoom::Park(Waiter waiter, bool* retry) {
  const PartId id = waiter.request.id();
  PartRecord* record = parts_->Find(id);
  if (record != nullptr) {
    // A repeat of a request that waits: the same place, answered on the stream that asked last.
    if (Waiter* parked = Find(*record, waiter.to, waiter.request.request)) {
      parked->to = waiter.to;
      return absl::OkStatus();
    }
  }
  // How many pushes may wait is bounded already: by the workers and the rounds that may be open.
  if (waiter.request.op != Op::kPush && waiting_ >= options_.waiting_max) {
    return absl::ResourceExhaustedError(fmt::format("{}: at most {} requests may wait here",
                                                    parts_->Label(id.key), options_.waiting_max));
  }
  if (waiter.to.rank == kReaderRank && readers_waiting_ >= options_.readers_waiting_max) {
    *retry = true;
    return absl::ResourceExhaustedError(fmt::format("{}: at most {} requests of readers may wait",
                                                    parts_->Label(id.key),
                                                    options_.readers_waiting_max));
  }
  if (!parking_.Fits(waiter.asked.data.size())) {
    *retry = true;
    return parking_.Full(parts_->Label(id.key));
  }
  if (recorder_ != nullptr && recorder_->on()) waiter.since = recorder_->Now();
  if (!waiter.asked.data.empty()) waiter.asked.data = waiter.asked.data.Copy();
  std::vector<Waiter>& waiters = (record == nullptr ? parts_->FindOrAdd(id) : *record).waiters;
  waiters.push_back(std::move(waiter));
  CountIn(waiters.back());
  return absl::OkStatus();
}

std::optional<int64_t> WaitingRoom::AnswerReady(WorkerRank of, PartRecord& record,
                                                ReplyBatch& replies) {
  std::optional<int64_t> oldest_ms;
  // Also when memory runs out on the way: whoever was answered waits no more.
  const auto settle = absl::MakeCleanup([&] { DropAnswered(record); });
  for (Waiter& waiter : record.waiters) {
    waiter.answered = Answer(waiter, *record.part, record.life, replies);
    if (!waiter.answered) continue;
    RecordWait(waiter, *record.part);
    if (waiter.request.op != Op::kPull || waiter.to.rank == of) continue;
    oldest_ms = std::min(oldest_ms.value_or(waiter.since_ms), waiter.since_ms);
  }
  return oldest_ms;
}

Payload NormsFor(const Part& part, WorkerRank rank, Round round) {
  const std::optional<NormNote> note = part.NormsOf(rank, round);
  return note.has_value() ? EncodeNormNote(*note) : Payload();
}

void WaitingRoom::TellNorms(const PartRecord& record, ReplyBatch& replies) {
  for (const Waiter& waiter : record.waiters) {
    if (waiter.request.op != Op::kPush) continue;
    ReplyEntry reply(waiter.request);
    reply.progress = Progress::kReceived;
    reply.data = NormsFor(*record.part, waiter.to.rank, waiter.request.round);
    if (!reply.data.empty()) replies.Add(waiter.to, std::move(reply));
  }
}

void WaitingRoom::EndLife(PartRecord& record, ReplyBatch& replies) {
  const bool was_reset = record.part != nullptr;
  std::vector<Waiter> waiters = std::exchange(record.waiters, {});
  for (const Waiter& waiter : waiters) CountOut(waiter);
  const auto over = std::partition(waiters.begin(), waiters.end(), [&](const Waiter& waiter) {
    return was_reset && waiter.request.op == Op::kDelete;
  });
  for (auto each = over; each != waiters.end(); ++each) {
    const Waiter& waiter = *each;
    ReplyEntry reply(waiter.request);
    if (waiter.request.op == (was_reset ? Op::kReset : Op::kDelete)) {
      reply.progress = Progress::kDone;
      if (was_reset) reply.life = waiter.request.life + 1;
    } else {
      reply.SetStatus(parts_->CheckLife(&record, waiter.request));
    }
    replies.Add(waiter.to, std::move(reply));
  }
  waiters.erase(over, waiters.end());
  for (const Waiter& waiter : waiters) CountIn(waiter);
  record.waiters = std::move(waiters);
}

bool WaitingRoom::AnswerIfReady(PartRecord& record, Waiter& waiter, ReplyBatch& replies) {
  if (record.part == nullptr || !Answer(waiter, *record.part, record.life, replies)) return false;
  waiter.answered = true;
  RecordWait(waiter, *record.part);
  DropAnswered(record);
  return true;
}

void WaitingRoom::RecordWait(const Waiter& waiter, const Part& part) const {
  if (waiter.since == 0 || recorder_ == nullptr || !recorder_->on()) return;
  recorder_->Did({Work::kWait, &part.key(), part.id().part, waiter.request.round, waiter.to.rank,
                  waiter.asked.data.size(), 0},
                 waiter.since);
}

void WaitingRoom::DropAnswered(PartRecord& record) {
  auto& waiters = record.waiters;
  for (const Waiter& waiter : waiters) {
    if (waiter.answered) CountOut(waiter);
  }
  waiters.erase(std::remove_if(waiters.begin(), waiters.end(),
                               [](const Waiter& waiter) { return waiter.answered; }),
                waiters.end());
}

bool WaitingRoom::Answer(const Waiter& waiter, Part& part, uint64_t life,
                         ReplyBatch& replies) const {
  const Round round = waiter.request.round;
  ReplyEntry reply(waiter.request);
  reply.progress = Progress::kDone;
  const KeySpec* learns = nullptr;
  switch (waiter.request.op) {
    case Op::kInit:
      reply.SetStatus(waiter.to.rank == kReaderRank
                          ? PartTable::CheckSameValue(part.key(), *waiter.key)
                          : PartTable::CheckSameKey(part.key(), *waiter.key));
      if (waiter.key->shape_unknown) learns = &part.key();
      reply.life = life;
      break;
    case Op::kDelete:
    case Op::kReset:
      return false;  // EndLife answers it
    case Op::kPush:
      if (part.DoneThrough(waiter.to.rank) < round) return false;
      reply.SetStatus(part.PushStatus(waiter.to.rank, round));
      reply.data = NormsFor(part, waiter.to.rank, round);
      break;
    default:  // kPull
      if (!part.PullIsReady(*view_, waiter.to.rank, round)) return false;
      AnswerPull(waiter, part, replies, &reply);
      break;
  }
  replies.Add(waiter.to, std::move(reply), learns);
  return true;
}

void WaitingRoom::AnswerPull(const Waiter& waiter, Part& part, ReplyBatch& replies,
                             ReplyEntry* reply) const {
  const PartId id = part.id();
  const Round round = waiter.request.round;
  // To a reader any later version will do.
  if (round != 0 && waiter.to.rank != kReaderRank && part.PullIsLate(round)) {
    // The worker has pushed again since, so it had its answer: this is a late duplicate.
    return reply->SetStatus(
        absl::AbortedError(fmt::format("{} part {}: version {} is over, at {}",
                                       parts_->Label(id.key), id.part, round, part.version())));
  }
  // Rows are copied for the reply, so that only so many bytes of them may be on their way to one
  // worker.
  if (!waiter.asked.data.empty() && replies.ValueBytesTo(waiter.to) > options_.reply_bytes_max) {
    reply->progress = Progress::kUnspecified;
    reply->retry_after_ms = options_.retry_after_ms;
    return reply->SetStatus(absl::ResourceExhaustedError(
        fmt::format("{} part {}: over {} bytes of values are on their way already",
                    parts_->Label(id.key), id.part, options_.reply_bytes_max)));
  }
  try {
    WorkSpan span(recorder_,
                  {Work::kPull, &part.key(), id.part, part.version(), waiter.to.rank, 0, 0});
    reply->data = part.value().Read(waiter.asked);
    span.set_bytes(reply->data.size());
    reply->version = part.version();
    reply->staleness = part.StalenessOf(*view_, round);
    part.CountPull(reply->staleness);
  } catch (const std::bad_alloc&) {
    reply->progress = Progress::kUnspecified;
    reply->retry_after_ms = options_.retry_after_ms;
    reply->SetStatus(NoMemory(parts_->Label(id.key), id.part, "the answer to a pull"));
  }
}

}  // namespace kvstore
