// SchedulerCore: how a job starts (S8) and begins (S9). The header has an example in numbers.
//
//   forming --- all confirmed one attempt ---> started --- asked to begin, all connected ---> begun
//      ^                                          |
//      +-------- a member was given up -----------+
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "server/scheduler/core/scheduler_impl.h"

namespace kvstore {

namespace {

// How many heartbeats a member has to confirm. It answers at once; what takes time are a slow
// network and a busy machine.
constexpr int64_t kHeartbeatsToConfirm = 3;

}  // namespace

// Whether every place is taken by a node that has a session.
bool SchedulerCore::Impl::AllConnected() const {
  return nodes_.size() == size_t{options_.workers} + options_.servers &&
         std::all_of(nodes_.begin(), nodes_.end(), [](const auto& entry) {
           const Node& node = entry.second;
           return !node.vacant && node.session.has_value();
         });
}

// Begins an attempt if every place is taken and connected and no attempt is under way. (Whoever
// changes a member or its session has ended the one before: Bind, LostSession.)
void SchedulerCore::Impl::Propose() {
  if (running() || attempt_ || !AllConnected()) return;
  attempt_ = Attempt();
  // Terms are never used twice, so neither is this.
  attempt_->number = (term_ << 32) + ++attempts_;
  attempt_->deadline_at_ms = now_ms_ + kHeartbeatsToConfirm * options_.heartbeat_ms;
  Arm(attempt_->deadline_at_ms);
  for (const auto& [key, node] : nodes_) SendProposal(node);
}

void SchedulerCore::Impl::SendProposal(const Node& to) {
  v1::SchedulerMessage message;
  v1::Proposal* proposal = message.mutable_proposal();
  proposal->set_job(job_);
  proposal->set_attempt(attempt_->number);
  for (const auto& [key, node] : nodes_) {
    if (node.record.role() != v1::ROLE_SERVER) continue;
    v1::ServerRoute* server = proposal->add_servers();
    server->set_rank(node.record.rank());
    server->set_address(node.record.address());
    server->set_incarnation(node.record.incarnation());
    server->set_shards(node.record.shards());
  }
  SendTo(to, std::move(message));
}

void SchedulerCore::Impl::OnConfirm(Node* node, const v1::Confirm& confirm) {
  if (!attempt_) return;
  if (confirm.attempt() != attempt_->number) return;
  const NodeKey key = {node->record.role(), node->record.rank()};
  // A member may confirm, and lose its session before the others have confirmed: then LostSession
  // has ended this attempt, and the number is another one.
  attempt_->confirmed.insert(key);
  obstacles_.erase(key);
  if (attempt_->confirmed.size() == nodes_.size()) Start();
}

void SchedulerCore::Impl::OnNotReady(Node* node, const v1::NotReady& report) {
  if (!attempt_ || report.attempt() != attempt_->number) return;
  const NodeKey key = {node->record.role(), node->record.rank()};
  // A worker that has reached all servers stays confirmed, whatever happens to its probing
  // afterwards.
  if (attempt_->confirmed.count(key) != 0) return;
  Obstacle& obstacle = obstacles_[key];
  obstacle.attempt = attempt_->number;
  const std::string text =
      fmt::format("{} {}", NodeName(node->record), OneLine(report.message(), 1024));
  if (std::exchange(obstacle.text, text) != text) {
    Log(fmt::format("job {} does not start: {}", job_, text));
  }
}

// The attempt has lasted three heartbeats. Members that have said nothing lose their places: they
// may be dead, and if not they would be as slow in the job. The place is free for another process,
// or for the same one when it registers again.
//
// Example: 2 workers and 1 server; worker 0 has confirmed, server 0 has said nothing, worker 1 has
// said that it cannot reach server 0. Server 0 loses its place, and nobody else does. When another
// server has registered, the next attempt begins.
void SchedulerCore::Impl::ExpireAttempt() {
  if (!attempt_ || now_ms_ < attempt_->deadline_at_ms) return;
  std::vector<Node*> silent;
  for (auto& [key, node] : nodes_) {
    const auto obstacle = obstacles_.find(key);
    const bool not_ready =
        obstacle != obstacles_.end() && obstacle->second.attempt == attempt_->number;
    if (attempt_->confirmed.count(key) == 0 && !not_ready) silent.push_back(&node);
  }
  GiveUpAttempt();
  // Every member has spoken, but some said that they are not ready yet. Confirmations must be fresh
  // when the job starts, so all are asked again.
  if (silent.empty()) return Propose();
  for (Node* node : silent) {
    Free(node, fmt::format("it did not confirm the start of job {} within {}", job_,
                           Seconds(kHeartbeatsToConfirm * options_.heartbeat_ms)));
  }
}

void SchedulerCore::Impl::Start() {
  GiveUpAttempt();
  obstacles_.clear();
  RoutingTable table;
  table.epoch = ++last_epoch_;
  table.job = job_;
  table.store_type = store_type_;
  for (auto& [key, node] : nodes_) {  // by role, then by rank
    node.record.set_job(job_);
    if (node.record.role() == v1::ROLE_WORKER) {
      table.workers.push_back({node.record.incarnation(), node.record.address()});
    } else {
      table.servers.push_back(
          {node.record.address(), node.record.incarnation(), node.record.shards()});
    }
  }
  table.SpreadSlots();
  table.ToProto(&routing_);
  dirty_ = true;
  Log(fmt::format("job {} starts: {}, {} workers, {} servers, epoch {}", job_, store_type_,
                  options_.workers, options_.servers, last_epoch_));
  v1::SchedulerMessage message;
  *message.mutable_routing() = routing_;
  Broadcast(message);
  // Workers may have come to a barrier, or asked to begin, before the start.
  TryCompleteBarrier();
  TryBegin();
}

void SchedulerCore::Impl::OnBegin(Node* node) {
  if (node->record.role() != v1::ROLE_WORKER) {
    return Refuse(*node->session, absl::InvalidArgumentError(fmt::format(
                                      "only workers begin a job, not {}", NodeName(node->record))));
  }
  if (node->record.left()) return;  // it has no business with the servers any more
  node->asks_to_begin = true;
  TryBegin();
}

// Lets every worker begin that has asked to. The first time only while every member is connected:
// one whose connection has just been lost either comes back in a moment, or is given up and
// replaced.
void SchedulerCore::Impl::TryBegin() {
  if (!running() || (!begun_ && !AllConnected())) return;
  for (auto& [key, node] : nodes_) {
    if (!node.asks_to_begin || !node.session) continue;
    NoteBegun();
    node.asks_to_begin = false;
    v1::SchedulerMessage message;
    message.mutable_begun();
    SendTo(node, std::move(message));
  }
}

void SchedulerCore::Impl::NoteBegun() {
  if (begun_) return;
  begun_ = true;
  begun_ms_ = now_ms_;
  dirty_ = true;
  TellReaders();
}

// Takes a job that has started, but not begun, back to forming. No worker has sent a server
// anything yet, and the routing table that the members know is harmless: the next one has a higher
// epoch.
void SchedulerCore::Impl::Reform(const std::string& why) {
  KVS_CHECK(running() && !begun_);
  begun_ = false;
  routing_.Clear();
  dirty_ = true;
  Warn(fmt::format("job {}, in which nothing was done yet, forms again: {}", job_, why));
}

}  // namespace kvstore
