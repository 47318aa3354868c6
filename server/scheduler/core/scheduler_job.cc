// SchedulerCore: barriers (S4), leaving, the end of a job (S6, S7).
#include <fmt/format.h>

#include <algorithm>

#include "common/base/check.h"
#include "server/scheduler/core/scheduler_impl.h"

namespace kvstore {

namespace {

v1::SchedulerMessage BarrierAnswer(uint64_t generation, const absl::Status& status) {
  v1::SchedulerMessage message;
  message.mutable_barrier()->set_generation(generation);
  message.mutable_barrier()->set_code(static_cast<uint32_t>(status.code()));
  message.mutable_barrier()->set_message(std::string(status.message()));
  return message;
}

}  // namespace

void SchedulerCore::Impl::OnBarrier(Node* node, const v1::BarrierRequest& request) {
  const v1::NodeRecord& record = node->record;
  // Generations are counted by the workers, each for itself: all who are at the open barrier name
  // the same number.
  const uint64_t open = barrier_generation_ + 1;
  const auto answer = [&](const absl::Status& status) {
    SendTo(*node, BarrierAnswer(request.generation(), status));
  };
  if (record.role() != v1::ROLE_WORKER) {
    return answer(absl::InvalidArgumentError(
        fmt::format("barriers are for workers, not for {}", NodeName(record))));
  }
  if (record.left()) {
    return answer(absl::FailedPreconditionError(
        fmt::format("{} has left the job and takes part in no barrier", NodeName(record))));
  }
  if (request.generation() == 0 || request.generation() > open) {
    return answer(absl::InvalidArgumentError(
        fmt::format("barrier {}: expected 1 to {}, the open one", request.generation(), open)));
  }
  // That barrier is complete; the worker asks because its answer was lost.
  if (request.generation() < open) return answer(absl::OkStatus());

  if (barrier_arrivals_.empty()) barrier_since_ms_ = now_ms_;
  Arrival& arrival = barrier_arrivals_[record.rank()];
  // A deadline too far away to be added to now_ms_ is none.
  constexpr uint64_t kNever = uint64_t{1} << 53;
  arrival.deadline_at_ms = request.deadline_ms() == 0 || request.deadline_ms() >= kNever
                               ? INT64_MAX
                               : now_ms_ + static_cast<int64_t>(request.deadline_ms());
  Arm(arrival.deadline_at_ms);
  TryCompleteBarrier();
}

void SchedulerCore::Impl::TryCompleteBarrier() {
  if (!running() || barrier_arrivals_.empty()) return;
  // A worker that has passed a barrier could not be replaced by a process that has not, so passing
  // one begins the job (S9); and a job begins only while all members are connected.
  if (!begun_ && !AllConnected()) return;
  for (const auto& [key, node] : nodes_) {
    if (node.record.role() != v1::ROLE_WORKER || node.record.left()) continue;
    if (barrier_arrivals_.count(node.record.rank()) == 0) return;
  }
  ++barrier_generation_;
  dirty_ = true;
  NoteBegun();
  for (const auto& [rank, arrival] : barrier_arrivals_) {
    SendTo(nodes_.at({v1::ROLE_WORKER, rank}),
           BarrierAnswer(barrier_generation_, absl::OkStatus()));
  }
  barrier_arrivals_.clear();
}

// Answers the workers whose time at the barrier is up: DEADLINE_EXCEEDED names who is missing. They
// still count as having arrived, so the barrier can complete without them asking again.
void SchedulerCore::Impl::ExpireBarriers() {
  for (auto& [rank, arrival] : barrier_arrivals_) {
    if (now_ms_ < arrival.deadline_at_ms) continue;
    arrival.deadline_at_ms = INT64_MAX;
    SendTo(
        nodes_.at({v1::ROLE_WORKER, rank}),
        BarrierAnswer(barrier_generation_ + 1, absl::DeadlineExceededError(fmt::format(
                                                   "barrier {}: still waiting for {}",
                                                   barrier_generation_ + 1, MissingAtBarrier()))));
  }
}

std::string SchedulerCore::Impl::MissingAtBarrier() const {
  constexpr int kNamesMax = 16;
  std::string names;
  int count = 0;
  for (WorkerRank rank = 0; rank < options_.workers; ++rank) {
    if (barrier_arrivals_.count(rank) != 0) continue;
    const auto it = nodes_.find({v1::ROLE_WORKER, rank});
    const bool there = it != nodes_.end() && !it->second.vacant;
    if (there && it->second.record.left()) continue;
    if (++count > kNamesMax) continue;
    if (!names.empty()) names += ", ";
    if (!there) {
      names += fmt::format("worker {} (not registered)", rank);
      continue;
    }
    names += NodeName(it->second.record);
    if (it->second.health == v1::HEALTH_SUSPECT) {
      names += fmt::format(" silent for {}", Seconds(now_ms_ - it->second.heard_ms));
    }
  }
  if (count > kNamesMax) names += fmt::format(" and {} more", count - kNamesMax);
  return names;
}

void SchedulerCore::Impl::OnLeave(Node* node) {
  if (node->record.role() != v1::ROLE_WORKER) {
    return Refuse(*node->session, absl::InvalidArgumentError(fmt::format(
                                      "only workers leave, not {}", NodeName(node->record))));
  }
  v1::SchedulerMessage reply;
  reply.mutable_leave();
  SendTo(*node, std::move(reply));
  if (node->record.left()) return;
  node->record.set_left(true);
  dirty_ = true;
  barrier_arrivals_.erase(node->record.rank());
  SetHealth(node, v1::HEALTH_LEFT);
  Log(fmt::format("{} left", NodeName(node->record)));
  if (!running()) {
    node->vacant = true;
    GiveUpAttempt();
    obstacles_.erase({node->record.role(), node->record.rank()});
    return;
  }
  NoteBegun();
  TryCompleteBarrier();
  for (const auto& [key, other] : nodes_) {
    if (other.record.role() == v1::ROLE_WORKER && !other.record.left()) return;
  }
  EndJob(absl::StatusCode::kOk, "all workers left");
}

void SchedulerCore::Impl::OnFailed(Node* node, const v1::FailedReport& report) {
  if (node->record.role() != v1::ROLE_WORKER) {
    return Refuse(*node->session,
                  absl::InvalidArgumentError(
                      fmt::format("only workers report failure, not {}", NodeName(node->record))));
  }
  if (node->record.left()) return;
  const std::string why =
      fmt::format("{} failed: {}", NodeName(node->record), OneLine(report.message(), 1024));
  if (running()) {
    EndJob(absl::StatusCode::kFailedPrecondition, why);
  } else {
    Free(node, why);
  }
}

// While the job forms nothing is lost with a node: its rank becomes free for another process, or
// for the same one when it registers again.
void SchedulerCore::Impl::Free(Node* node, const std::string& why) {
  node->vacant = true;
  node->asks_to_begin = false;
  GiveUpAttempt();
  obstacles_.erase({node->record.role(), node->record.rank()});
  if (node->record.role() == v1::ROLE_WORKER) barrier_arrivals_.erase(node->record.rank());
  SetHealth(node, v1::HEALTH_DEAD);
  if (node->session) CloseSession(*node->session);
  Warn(fmt::format("the rank of {} is free: {}", NodeName(node->record), why));
}

void SchedulerCore::Impl::EndJob(absl::StatusCode code, const std::string& message) {
  KVS_CHECK(running());
  ended_.emplace();
  ended_->set_job(job_);
  ended_->set_code(static_cast<uint32_t>(code));
  ended_->set_message(message);
  v1::SchedulerMessage news;
  *news.mutable_job_ended() = *ended_;
  Broadcast(news);
  TellReadersTheEnd();
  out_->job_ended = *ended_;
  for (const auto& [key, node] : nodes_) {
    if (!node.session && !node.record.left() && node.health != v1::HEALTH_DEAD) {
      ++out_->job_ended_untold;
    }
  }
  if (code == absl::StatusCode::kOk) {
    Log(fmt::format("job {} finished: {}", job_, message));
  } else {
    Warn(fmt::format("job {} failed: {}", job_, message));
  }

  // Its workers go with it; those of the job before are forgotten. The servers stay.
  for (auto& [key, node] : past_workers_) {
    if (node.session) CloseSession(*node.session);
  }
  past_workers_.clear();
  dead_servers_.clear();
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    if (it->first.first != v1::ROLE_WORKER) {
      ++it;
      continue;
    }
    if (it->second.session) sessions_.at(*it->second.session).past = true;
    past_workers_.insert(nodes_.extract(it++));
  }
  ++job_;
  store_type_.clear();
  routing_.Clear();
  begun_ = false;
  barrier_generation_ = 0;
  barrier_arrivals_.clear();
  dirty_ = true;
}

uint32_t SchedulerCore::Impl::SlotsOf(const v1::NodeRecord& server) const {
  if (server.role() != v1::ROLE_SERVER) return 0;
  return static_cast<uint32_t>(
      std::count(routing_.slot_server().begin(), routing_.slot_server().end(), server.rank()));
}

std::string SchedulerCore::Impl::LostSlots(const v1::NodeRecord& server) const {
  return fmt::format("lost its {} slots of {}; the values in them are gone", SlotsOf(server),
                     kSlotCount);
}

}  // namespace kvstore
