// SchedulerCore: calls in, outbox out, and what time alone brings: suspects and deaths.
#include "server/scheduler/core/scheduler_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/scheduler/core/scheduler_impl.h"

namespace kvstore {

std::string NodeName(const v1::NodeRecord& record) {
  return fmt::format("{} {} ({})", record.role() == v1::ROLE_WORKER ? "worker" : "server",
                     record.rank(), record.address());
}

std::string OneLine(std::string text, size_t bytes_max) {
  if (text.size() > bytes_max) {
    size_t end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end) + "…";
  }
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  return text;
}

std::string Seconds(int64_t ms) {
  return ms % 1000 == 0 ? fmt::format("{} s", ms / 1000)
                        : fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
}

SchedulerCore::SchedulerCore(SchedulerOptions options, std::optional<v1::SchedulerState> state,
                             ClusterId new_cluster, int64_t now_ms, SchedulerOutbox* out)
    : impl_(std::make_unique<Impl>(options, std::move(state), new_cluster, now_ms, out)) {}
SchedulerCore::SchedulerCore(const SchedulerCore& other)
    : impl_(std::make_unique<Impl>(*other.impl_)) {}
SchedulerCore::~SchedulerCore() = default;

void SchedulerCore::OnMessage(int64_t now_ms, SessionId session, const v1::NodeMessage& message,
                              SchedulerOutbox* out) {
  impl_->OnMessage(now_ms, session, message, out);
}
bool SchedulerCore::OnHeartbeat(int64_t now_ms, SessionId session) noexcept {
  return impl_->OnHeartbeat(now_ms, session);
}
void SchedulerCore::OnSessionDown(int64_t now_ms, SessionId session, SchedulerOutbox* out) {
  impl_->OnSessionDown(now_ms, session, out);
}
void SchedulerCore::OnTimer(int64_t now_ms, SchedulerOutbox* out) { impl_->OnTimer(now_ms, out); }
int64_t SchedulerCore::NextTimerMs() const { return impl_->NextTimerMs(); }
v1::ClusterStatus SchedulerCore::Status(int64_t now_ms) const { return impl_->Status(now_ms); }

SchedulerCore::Impl::Impl(SchedulerOptions options, std::optional<v1::SchedulerState> state,
                          ClusterId new_cluster, int64_t now_ms, SchedulerOutbox* out)
    : options_(options), cluster_(new_cluster) {
  Begin(now_ms, out);
  if (state) FromState(*state);
  begun_ms_ = now_ms;
  ++term_;
  dirty_ = true;
  // S5: nodes that were known before count as heard of, and as lost, only from the end of the
  // grace. A new cluster knows no nodes yet.
  grace_until_ms_ = state ? now_ms + 3 * options_.heartbeat_ms : now_ms;
  for (auto& [key, node] : nodes_) {
    node.heard_ms = node.lost_ms = grace_until_ms_;
    Arm(NodeTimerMs(node));
  }
  Log(fmt::format("cluster {:016x} term {}: {} workers, {} servers, {} nodes known, job {} {}",
                  cluster_, term_, options_.workers, options_.servers, nodes_.size(), job_,
                  StateName()));
  Finish();
}

void SchedulerCore::Impl::Begin(int64_t now_ms, SchedulerOutbox* out) {
  now_ms_ = now_ms;
  out_ = out;
}

// S1: one state per call, taken when the call is through.
void SchedulerCore::Impl::Finish() {
  if (dirty_) out_->persist = ToState();
  dirty_ = false;
  out_ = nullptr;
}

void SchedulerCore::Impl::OnMessage(int64_t now_ms, SessionId session,
                                    const v1::NodeMessage& message, SchedulerOutbox* out) {
  Begin(now_ms, out);
  const auto owner = sessions_.find(session);
  if (message.has_register_()) {
    OnRegister(session, message.register_());
  } else if (readers_.count(session) != 0) {
    OnReaderMessage(session, message);
  } else if (owner == sessions_.end()) {
    Refuse(session, absl::InvalidArgumentError("the first message of a session must be Register"));
  } else if (owner->second.past) {
    // The worker's job is over, and it was told so; all that it can still want is to leave.
    if (message.has_leave()) {
      v1::SchedulerMessage reply;
      reply.mutable_leave();
      Send(session, std::move(reply));
    }
  } else {
    Node* node = &nodes_.at(owner->second.key);
    node->heard_ms = now_ms;
    if (node->health == v1::HEALTH_SUSPECT) SetHealth(node, v1::HEALTH_ALIVE);
    switch (message.kind_case()) {
      case v1::NodeMessage::kBarrier:
        OnBarrier(node, message.barrier());
        break;
      case v1::NodeMessage::kLeave:
        OnLeave(node);
        break;
      case v1::NodeMessage::kFailed:
        OnFailed(node, message.failed());
        break;
      case v1::NodeMessage::kConfirm:
        OnConfirm(node, message.confirm());
        break;
      case v1::NodeMessage::kNotReady:
        OnNotReady(node, message.not_ready());
        break;
      case v1::NodeMessage::kBegin:
        OnBegin(node);
        break;
      case v1::NodeMessage::kHeartbeat:
      case v1::NodeMessage::kRegister:     // handled above
      case v1::NodeMessage::KIND_NOT_SET:  // a kind that this version does not know
        break;
    }
  }
  Finish();
}

bool SchedulerCore::Impl::OnHeartbeat(int64_t now_ms, SessionId session) {
  if (const auto reader = readers_.find(session); reader != readers_.end()) {
    reader->second.heard_ms = now_ms;
    return true;
  }
  const auto owner = sessions_.find(session);
  if (owner == sessions_.end() || owner->second.past) return false;
  Node& node = nodes_.at(owner->second.key);
  if (node.health != v1::HEALTH_ALIVE) return false;
  node.heard_ms = now_ms;
  return true;
}

void SchedulerCore::Impl::OnSessionDown(int64_t now_ms, SessionId session, SchedulerOutbox* out) {
  Begin(now_ms, out);
  if (const auto reader = readers_.find(session); reader != readers_.end()) {
    Log(fmt::format("lost reader ({})", reader->second.address));
    readers_.erase(reader);
  }
  if (const auto owner = sessions_.find(session); owner != sessions_.end()) {
    const auto [key, past] = owner->second;
    sessions_.erase(owner);
    Node* node = &(past ? past_workers_ : nodes_).at(key);
    node->session.reset();
    if (!past) {
      LostSession(node);
      if (!node->record.left()) Warn(fmt::format("lost {}", NodeName(node->record)));
    }
  }
  Finish();
}

void SchedulerCore::Impl::OnTimer(int64_t now_ms, SchedulerOutbox* out) {
  Begin(now_ms, out);
  if (now_ms >= next_timer_ms_) {
    ExpireBarriers();
    ExpireAttempt();
    ExpireReaders();
    // A death may end the job and change nodes_; then the rest is looked at in the next job.
    const JobId job = job_;
    CheckNodes();
    if (job != job_) CheckNodes();
    next_timer_ms_ = INT64_MAX;
    for (const auto& [key, node] : nodes_) Arm(NodeTimerMs(node));
    for (const auto& [rank, arrival] : barrier_arrivals_) Arm(arrival.deadline_at_ms);
    for (const auto& [session, reader] : readers_) Arm(ReaderTimerMs(reader));
    if (attempt_) Arm(attempt_->deadline_at_ms);
  }
  Finish();
}

// Servers first: lost values are the graver news when a machine takes both with it.
void SchedulerCore::Impl::CheckNodes() {
  const JobId job = job_;
  for (const v1::Role role : {v1::ROLE_SERVER, v1::ROLE_WORKER}) {
    for (auto& [id, node] : nodes_) {
      if (id.first == role) CheckNode(&node);
      if (job != job_) return;
    }
  }
}

void SchedulerCore::Impl::Arm(int64_t at_ms) { next_timer_ms_ = std::min(next_timer_ms_, at_ms); }

int64_t SchedulerCore::Impl::SilentDeadAtMs(const Node& node) const {
  return std::max(node.heard_ms + options_.silent_dead_ms, grace_until_ms_);
}

int64_t SchedulerCore::Impl::LostDeadAtMs(const Node& node) const {
  return node.session ? INT64_MAX : node.lost_ms + options_.lost_dead_ms;
}

int64_t SchedulerCore::Impl::NodeTimerMs(const Node& node) const {
  if (node.record.left() || node.vacant) return INT64_MAX;
  int64_t at_ms = std::min(SilentDeadAtMs(node), LostDeadAtMs(node));
  if (node.health == v1::HEALTH_ALIVE) at_ms = std::min(at_ms, node.heard_ms + options_.suspect_ms);
  return at_ms;
}

void SchedulerCore::Impl::CheckNode(Node* node) {
  if (node->record.left() || node->vacant) return;
  if (now_ms_ >= LostDeadAtMs(*node)) {
    GiveUp(node, fmt::format("its session was lost and did not come back within {}",
                             Seconds(options_.lost_dead_ms)));
  } else if (now_ms_ >= SilentDeadAtMs(*node)) {
    GiveUp(node, fmt::format("no heartbeat for {}", Seconds(options_.silent_dead_ms)));
  } else if (now_ms_ >= node->heard_ms + options_.suspect_ms) {
    SetHealth(node, v1::HEALTH_SUSPECT);
  }
}

// A node is dead. After the job has begun this ends it (S6); before, its rank is free again (S9).
void SchedulerCore::Impl::GiveUp(Node* node, const std::string& why) {
  if (running() && !begun_) {
    Reform(fmt::format("{} is given up: {}", NodeName(node->record), why));
  }
  if (!running()) return Free(node, why);
  SetHealth(node, v1::HEALTH_DEAD);
  const v1::NodeRecord record = node->record;
  const std::string dead = fmt::format("{} is dead: {}", NodeName(record), why);
  if (record.role() == v1::ROLE_WORKER) {
    EndJob(absl::StatusCode::kFailedPrecondition, dead);
    return;
  }
  EndJob(absl::StatusCode::kDataLoss, fmt::format("{}; {}", dead, LostSlots(record)));
  if (node->session) CloseSession(*node->session);
  dead_servers_.insert(nodes_.extract({record.role(), record.rank()}));
}

void SchedulerCore::Impl::SetHealth(Node* node, v1::Health health) {
  if (node->health == health) return;
  node->health = health;
  if (health == v1::HEALTH_SUSPECT) {
    Warn(fmt::format("{} is suspect: silent for {}", NodeName(node->record),
                     Seconds(now_ms_ - node->heard_ms)));
  } else if (health == v1::HEALTH_ALIVE) {
    Log(fmt::format("{} is alive", NodeName(node->record)));
    Arm(NodeTimerMs(*node));
  }
  v1::SchedulerMessage message;
  message.mutable_node_health()->set_role(node->record.role());
  message.mutable_node_health()->set_rank(node->record.rank());
  message.mutable_node_health()->set_health(health);
  Broadcast(message);
}

void SchedulerCore::Impl::Send(SessionId session, v1::SchedulerMessage message) {
  out_->messages.push_back({session, std::move(message)});
}

void SchedulerCore::Impl::SendTo(const Node& node, v1::SchedulerMessage message) {
  if (node.session) Send(*node.session, std::move(message));
}

void SchedulerCore::Impl::Broadcast(const v1::SchedulerMessage& message) {
  for (const auto& [key, node] : nodes_) SendTo(node, message);
}

void SchedulerCore::Impl::Refuse(SessionId session, const absl::Status& why) {
  v1::SchedulerMessage message;
  message.mutable_refused()->set_code(static_cast<uint32_t>(why.code()));
  message.mutable_refused()->set_message(std::string(why.message()));
  Send(session, std::move(message));
  CloseSession(session);
}

// We close the session, so the shell will not call OnSessionDown for it.
void SchedulerCore::Impl::CloseSession(SessionId session) {
  out_->close.push_back(session);
  readers_.erase(session);
  const auto owner = sessions_.find(session);
  if (owner == sessions_.end()) return;
  const auto [key, past] = owner->second;
  sessions_.erase(owner);
  Node* node = &(past ? past_workers_ : nodes_).at(key);
  node->session.reset();
  if (!past) LostSession(node);
}

void SchedulerCore::Impl::LostSession(Node* node) {
  node->lost_ms = std::max(now_ms_, grace_until_ms_);
  node->asks_to_begin = false;
  GiveUpAttempt();
  Arm(NodeTimerMs(*node));
}

}  // namespace kvstore
