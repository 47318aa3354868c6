// SchedulerCore: readers (S10). All that is known of one hangs on its session, and none of it is on
// disk: a reader tells the rest when it registers.
//
// Example: a reader registers while the job forms, and waits. The job begins: it is told the
// routing table. The scheduler is restarted; the reader registers again, with its incarnation and
// the job, and is told the table once more. The job ends while the connection of another reader is
// broken; when that one registers again, it names the job that is over, and is told how that ended.
#include <fmt/format.h>

#include <vector>

#include "server/scheduler/core/scheduler_impl.h"

namespace kvstore {

absl::Status SchedulerCore::Impl::CheckReader(SessionId session,
                                              const v1::Register& request) const {
  if (readers_.count(session) == 0 && readers_.size() >= kReadersMax) {
    return absl::ResourceExhaustedError(
        fmt::format("at most {} readers at a time expected", kReadersMax));
  }
  for (const auto& [other, reader] : readers_) {
    if (reader.nonce == request.nonce() || reader.incarnation != request.incarnation()) continue;
    return absl::AbortedError(fmt::format("incarnation {} is that of reader ({})",
                                          request.incarnation(), reader.address));
  }
  const bool ended = ended_ && ended_->job() == request.job();
  if (request.job() == 0 || ended || (request.job() == job_ && begun_)) return absl::OkStatus();
  return absl::AbortedError(
      fmt::format("job {} is not one of those that are known here, at job {}; a new process may "
                  "register",
                  request.job(), job_));
}

void SchedulerCore::Impl::OnReaderRegisters(SessionId session, const v1::Register& request) {
  if (absl::Status fits = CheckReader(session, request); !fits.ok()) return Refuse(session, fits);
  // The same process on another session: the old one is of no use any more.
  for (const auto& [other, reader] : readers_) {
    if (reader.nonce != request.nonce() || other == session) continue;
    CloseSession(other);
    break;
  }
  const bool fresh = readers_.count(session) == 0;
  Reader& reader = readers_[session];
  if (fresh) {
    reader.nonce = request.nonce();
    reader.address = request.address();
    reader.store_type = request.store_type();
    reader.job = request.job();
    // Terms are never used twice, so neither is this; workers and servers count from 1.
    reader.incarnation =
        request.incarnation() != 0 ? request.incarnation() : (term_ << 32) + ++readers_named_;
    Log(fmt::format("registered reader ({}) incarnation {}", reader.address, reader.incarnation));
  }
  reader.heard_ms = now_ms_;
  Arm(ReaderTimerMs(reader));
  SendRegistered(session, kReaderRank, reader.incarnation, reader.job != 0 ? reader.job : job_);
  if (reader.job != 0 && reader.job != job_) {
    v1::SchedulerMessage message;
    *message.mutable_job_ended() = *ended_;
    return Send(session, std::move(message));
  }
  if (begun_) TellReader(session, &reader);
}

void SchedulerCore::Impl::OnReaderMessage(SessionId session, const v1::NodeMessage& message) {
  Reader& reader = readers_.at(session);
  reader.heard_ms = now_ms_;
  if (message.has_heartbeat() || message.kind_case() == v1::NodeMessage::KIND_NOT_SET) return;
  if (message.has_leave()) {
    v1::SchedulerMessage reply;
    reply.mutable_leave();
    Send(session, std::move(reply));
    Log(fmt::format("reader ({}) left", reader.address));
    readers_.erase(session);
    return;
  }
  Refuse(session,
         absl::InvalidArgumentError(fmt::format(
             "reader ({}): it is in no job; a heartbeat or a leave expected, got message {}",
             reader.address, static_cast<int>(message.kind_case()))));
}

void SchedulerCore::Impl::TellReader(SessionId session, Reader* reader) {
  if (reader->store_type != store_type_) {
    return Refuse(session, absl::FailedPreconditionError(fmt::format(
                               "store type '{}': job {} is of type '{}', and a reader must agree",
                               reader->store_type, job_, store_type_)));
  }
  reader->job = job_;
  v1::SchedulerMessage message;
  *message.mutable_routing() = routing_;
  Send(session, std::move(message));
}

void SchedulerCore::Impl::TellReaders() {
  std::vector<SessionId> waiting;  // who is refused goes
  for (const auto& [session, reader] : readers_) {
    if (reader.job == 0) waiting.push_back(session);
  }
  for (const SessionId session : waiting) TellReader(session, &readers_.at(session));
}

void SchedulerCore::Impl::TellReadersTheEnd() {
  for (const auto& [session, reader] : readers_) {
    if (reader.job != job_) continue;
    v1::SchedulerMessage message;
    *message.mutable_job_ended() = *ended_;
    Send(session, std::move(message));
  }
}

void SchedulerCore::Impl::ExpireReaders() {
  std::vector<SessionId> silent;
  for (const auto& [session, reader] : readers_) {
    if (now_ms_ >= ReaderTimerMs(reader)) silent.push_back(session);
  }
  for (const SessionId session : silent) {
    Log(fmt::format("reader ({}) is gone: no heartbeat for {}", readers_.at(session).address,
                    Seconds(options_.silent_dead_ms)));
    CloseSession(session);
  }
}

}  // namespace kvstore
