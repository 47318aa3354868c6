// A node's side of its session with the scheduler; the rules M1 to M7 are in the header.
#include "common/membership/core/membership_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kvstore {

MembershipCore::MembershipCore(MembershipOptions options)
    : options_(std::move(options)), redial_delay_ms_(options_.redial_min_ms) {
  if (reads()) begin_phase_ = BeginPhase::kBegun;
}

void MembershipCore::Start(int64_t now_ms, MembershipOutbox* out) {
  disconnected_since_ms_ = now_ms;
  Dial(out);
}

void MembershipCore::Dial(MembershipOutbox* out) {
  redial_at_ms_ = INT64_MAX;
  out->dial = true;
}

void MembershipCore::OnSessionUp(int64_t now_ms, MembershipOutbox* out) {
  if (over_) {
    out->close = true;
    return;
  }
  session_up_ = true;
  register_deadline_ms_ = now_ms + options_.register_timeout_ms;
  v1::NodeMessage message;
  *message.mutable_register_() = options_.registration;
  if (identity_) message.mutable_register_()->set_incarnation(identity_->incarnation());
  if (reads() && routing_) message.mutable_register_()->set_job(routing_->job);
  out->messages.push_back(std::move(message));
}

void MembershipCore::OnSessionDown(int64_t now_ms, MembershipOutbox* out) {
  LoseSession(now_ms, /*close=*/false, out);
}

// The session is gone, or of no use (`close`): the next one is dialled after the backoff, which
// starts anew when a session had worked.
void MembershipCore::LoseSession(int64_t now_ms, bool close, MembershipOutbox* out) {
  if (over_) return;
  out->close = out->close || close;
  if (session_registered_) {
    disconnected_since_ms_ = now_ms;
    redial_delay_ms_ = options_.redial_min_ms;
  }
  session_up_ = false;
  session_registered_ = false;
  proposed_ = 0;
  register_deadline_ms_ = INT64_MAX;
  heartbeat_at_ms_ = INT64_MAX;
  redial_at_ms_ = now_ms + redial_delay_ms_;
  redial_delay_ms_ = std::min(2 * redial_delay_ms_, options_.redial_max_ms);
}

void MembershipCore::StopFor(absl::Status why, MembershipOutbox* out) {
  out->refused = std::move(why);
  End(out);
}

void MembershipCore::OnMessage(int64_t now_ms, const v1::SchedulerMessage& message,
                               MembershipOutbox* out) {
  if (over_ || !session_up_) return;
  // Before Registered only a refusal may come; anything else was meant for an earlier session.
  if (!session_registered_ && !message.has_registered() && !message.has_refused()) return;
  switch (message.kind_case()) {
    case v1::SchedulerMessage::kRegistered:
      return OnRegistered(now_ms, message.registered(), out);
    case v1::SchedulerMessage::kProposal:
      proposed_ = message.proposal().attempt();
      out->proposal = message.proposal();
      return;
    case v1::SchedulerMessage::kBegun:
      if (begin_phase_ != BeginPhase::kAsked) return;
      begin_phase_ = BeginPhase::kBegun;
      out->begun = true;
      return;
    case v1::SchedulerMessage::kRouting:
      return OnRouting(message.routing(), out);
    case v1::SchedulerMessage::kBarrier:
      return OnBarrierReply(message.barrier(), out);
    case v1::SchedulerMessage::kLeave:
      if (leaving_) FinishLeaving(out);
      return;
    case v1::SchedulerMessage::kRefused:
      return OnRefused(now_ms, message.refused(), out);
    case v1::SchedulerMessage::kJobEnded:
      return OnJobEnded(message.job_ended(), out);
    case v1::SchedulerMessage::kNodeHealth: {
      const v1::NodeHealth& health = message.node_health();
      health_[{health.role(), health.rank()}] = health.health();
      out->health.push_back(health);
      return;
    }
    case v1::SchedulerMessage::KIND_NOT_SET:
      return;  // a kind that this version does not know
  }
}

void MembershipCore::OnRegistered(int64_t now_ms, const v1::Registered& registered,
                                  MembershipOutbox* out) {
  if (session_registered_) return;
  if (identity_ && identity_->cluster() != registered.cluster()) {
    return StopFor(absl::FailedPreconditionError(fmt::format(
                       "the scheduler serves cluster {:016x}, this node belongs to {:016x}",
                       registered.cluster(), identity_->cluster())),
                   out);
  }
  if (identity_ && (identity_->incarnation() != registered.incarnation() ||
                    identity_->rank() != registered.rank())) {
    return StopFor(absl::AbortedError(fmt::format(
                       "the scheduler takes this node for rank {} incarnation {}, it is rank {} "
                       "incarnation {}",
                       registered.rank(), registered.incarnation(), identity_->rank(),
                       identity_->incarnation())),
                   out);
  }
  identity_ = registered;
  session_registered_ = true;
  disconnected_since_ms_ = INT64_MAX;
  register_deadline_ms_ = INT64_MAX;
  redial_delay_ms_ = options_.redial_min_ms;
  heartbeat_at_ms_ = now_ms + HeartbeatMs();
  last_put_off_.clear();
  health_.clear();  // the scheduler reports whoever is not well after Registered
  out->registered = registered;
  SendOpen(out);
}

void MembershipCore::OnRouting(const v1::Routing& proto, MembershipOutbox* out) {
  if (routing_ && proto.epoch() <= routing_->epoch) return;
  absl::StatusOr<RoutingTable> table = RoutingTable::FromProto(proto);
  if (!table.ok()) return StopFor(table.status(), out);
  if (routing_ && table->job > routing_->job) health_.clear();
  routing_ = std::make_shared<const RoutingTable>(*std::move(table));
  out->routing = routing_;
}

void MembershipCore::OnBarrierReply(const v1::BarrierReply& reply, MembershipOutbox* out) {
  if (barrier_phase_ != BarrierPhase::kWaiting || reply.generation() != barrier_generation_) return;
  const auto code = static_cast<absl::StatusCode>(reply.code());
  barrier_phase_ =
      code == absl::StatusCode::kDeadlineExceeded ? BarrierPhase::kExpired : BarrierPhase::kNone;
  out->barriers.push_back(reply);
}

void MembershipCore::OnRefused(int64_t now_ms, const v1::Refused& refused, MembershipOutbox* out) {
  const auto code = static_cast<absl::StatusCode>(refused.code());
  if (code == absl::StatusCode::kUnavailable) {
    last_put_off_ = refused.message();
    return LoseSession(now_ms, /*close=*/true, out);
  }
  // A refusal never reads as success, whatever number came.
  StopFor(absl::Status(code == absl::StatusCode::kOk ? absl::StatusCode::kUnknown : code,
                       refused.message()),
          out);
}

void MembershipCore::OnJobEnded(const v1::JobEnded& ended, MembershipOutbox* out) {
  // A server outlives jobs: the end of one that is over for it already is old news.
  if (ended.job() <= ended_job_ || (routing_ && ended.job() < routing_->job)) return;
  ended_job_ = ended.job();
  failure_.reset();
  barrier_phase_ = BarrierPhase::kNone;
  out->job_ended = ended;
  if (leaving_) FinishLeaving(out);
}

void MembershipCore::FinishLeaving(MembershipOutbox* out) {
  out->left = true;
  End(out);
}

void MembershipCore::End(MembershipOutbox* out) {
  over_ = true;
  leaving_ = false;
  out->close = out->close || session_up_;
  session_up_ = session_registered_ = false;
  redial_at_ms_ = register_deadline_ms_ = heartbeat_at_ms_ = INT64_MAX;
}

// Sends again whatever the node still waits for (M2).
void MembershipCore::SendOpen(MembershipOutbox* out) const {
  if (failure_) {
    v1::NodeMessage message;
    message.mutable_failed()->set_message(*failure_);
    out->messages.push_back(std::move(message));
  }
  if (begin_phase_ == BeginPhase::kAsked) SendBegin(out);
  if (barrier_phase_ != BarrierPhase::kNone) SendBarrier(out);
  if (leaving_) {
    v1::NodeMessage message;
    message.mutable_leave();
    out->messages.push_back(std::move(message));
  }
}

void MembershipCore::SendBarrier(MembershipOutbox* out) const {
  v1::NodeMessage message;
  message.mutable_barrier()->set_generation(barrier_generation_);
  // An expired barrier stays announced (the others wait for this worker), but not waited for.
  message.mutable_barrier()->set_deadline_ms(
      barrier_phase_ == BarrierPhase::kWaiting ? barrier_deadline_ms_ : 0);
  out->messages.push_back(std::move(message));
}

void MembershipCore::OnTimer(int64_t now_ms, MembershipOutbox* out) {
  if (over_) return;
  if (now_ms >= register_deadline_ms_) LoseSession(now_ms, /*close=*/true, out);
  if (now_ms >= redial_at_ms_) Dial(out);
  if (now_ms >= heartbeat_at_ms_) {
    v1::NodeMessage message;
    message.mutable_heartbeat();
    out->messages.push_back(std::move(message));
    heartbeat_at_ms_ = now_ms + HeartbeatMs();
  }
}

int64_t MembershipCore::HeartbeatMs() const {
  return std::max<int64_t>(identity_->heartbeat_ms(), 1);
}

int64_t MembershipCore::NextTimerMs() const {
  return std::min({redial_at_ms_, register_deadline_ms_, heartbeat_at_ms_});
}

uint64_t MembershipCore::Barrier(int64_t, uint64_t deadline_ms, MembershipOutbox* out) {
  if (barrier_phase_ == BarrierPhase::kNone) ++barrier_generation_;
  barrier_phase_ = BarrierPhase::kWaiting;
  barrier_deadline_ms_ = deadline_ms;
  if (session_registered_) SendBarrier(out);
  return barrier_generation_;
}

void MembershipCore::Confirm(int64_t, uint64_t attempt, MembershipOutbox* out) {
  if (!session_registered_ || attempt == 0 || attempt != proposed_) return;
  proposed_ = 0;
  v1::NodeMessage message;
  message.mutable_confirm()->set_attempt(attempt);
  out->messages.push_back(std::move(message));
}

void MembershipCore::NotReady(int64_t, uint64_t attempt, const std::string& why,
                              MembershipOutbox* out) {
  if (!session_registered_ || attempt == 0 || attempt != proposed_) return;
  v1::NodeMessage message;
  message.mutable_not_ready()->set_attempt(attempt);
  message.mutable_not_ready()->set_message(why);
  out->messages.push_back(std::move(message));
}

void MembershipCore::Begin(int64_t, MembershipOutbox* out) {
  if (over_ || begin_phase_ != BeginPhase::kNone) return;
  begin_phase_ = BeginPhase::kAsked;
  if (session_registered_) SendBegin(out);
}

void MembershipCore::SendBegin(MembershipOutbox* out) {
  v1::NodeMessage message;
  message.mutable_begin();
  out->messages.push_back(std::move(message));
}

void MembershipCore::Leave(int64_t, MembershipOutbox* out) {
  if (over_ || (ended_job_ != 0 && identity_ && ended_job_ >= identity_->job())) {
    FinishLeaving(out);
    return;
  }
  leaving_ = true;
  if (!session_registered_) return;
  v1::NodeMessage message;
  message.mutable_leave();
  out->messages.push_back(std::move(message));
}

void MembershipCore::ReportFailure(int64_t, const std::string& message, MembershipOutbox* out) {
  if (over_ || failure_) return;
  failure_ = message;
  if (!session_registered_) return;
  v1::NodeMessage node_message;
  node_message.mutable_failed()->set_message(message);
  out->messages.push_back(std::move(node_message));
}

}  // namespace kvstore
