// A scheduler core with the shell's duties done by hand: what it persists is kept, what it sends is
// collected by session.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/scheduler/core/scheduler_core.h"

namespace kvstore {

inline v1::Register WorkerRegister(uint64_t nonce, const std::string& type = "dist_sync") {
  v1::Register request;
  request.set_role(v1::ROLE_WORKER);
  request.set_address("host:" + std::to_string(nonce));
  request.set_nonce(nonce);
  request.set_store_type(type);
  request.set_protocol(1);
  return request;
}

inline v1::Register ServerRegister(uint64_t nonce, uint32_t port, uint32_t shards = 1) {
  v1::Register request;
  request.set_role(v1::ROLE_SERVER);
  request.set_address("127.0.0.1:" + std::to_string(port));
  request.set_nonce(nonce);
  request.set_shards(shards);
  request.set_protocol(1);
  return request;
}

inline v1::Register Wanting(v1::Register request, uint32_t rank) {
  request.set_wanted_rank_plus_one(rank + 1);
  return request;
}

class SchedulerFixture {
 public:
  SchedulerFixture(uint32_t workers, uint32_t servers) {
    options.workers = workers;
    options.servers = servers;
    Start(std::nullopt);
  }

  void Start(std::optional<v1::SchedulerState> state) {
    out = {};
    core = std::make_unique<SchedulerCore>(options, std::move(state), 77, now, &out);
    Settle();
  }
  // A new process on the state that is on disk; all sessions are gone.
  void Restart() {
    REQUIRE(disk);
    REQUIRE(SchedulerCore::CheckState(options, *disk).ok());
    inbox.clear();
    closed.clear();
    Start(disk);
  }

  void Send(SessionId session, const v1::NodeMessage& message) {
    out = {};
    core->OnMessage(now, session, message, &out);
    Settle();
  }
  void Register(SessionId session, const v1::Register& request) {
    v1::NodeMessage message;
    *message.mutable_register_() = request;
    Send(session, message);
  }
  void Heartbeat(SessionId session) {
    v1::NodeMessage message;
    message.mutable_heartbeat();
    Send(session, message);
  }
  void Barrier(SessionId session, uint64_t generation, uint64_t deadline_ms = 0) {
    v1::NodeMessage message;
    message.mutable_barrier()->set_generation(generation);
    message.mutable_barrier()->set_deadline_ms(deadline_ms);
    Send(session, message);
  }
  void Leave(SessionId session) {
    v1::NodeMessage message;
    message.mutable_leave();
    Send(session, message);
  }
  void Fail(SessionId session, const std::string& why) {
    v1::NodeMessage message;
    message.mutable_failed()->set_message(why);
    Send(session, message);
  }
  void Confirm(SessionId session, uint64_t attempt) {
    v1::NodeMessage message;
    message.mutable_confirm()->set_attempt(attempt);
    Send(session, message);
  }
  void NotReady(SessionId session, uint64_t attempt, const std::string& why) {
    v1::NodeMessage message;
    message.mutable_not_ready()->set_attempt(attempt);
    message.mutable_not_ready()->set_message(why);
    Send(session, message);
  }
  // The attempt that was last proposed to a session.
  uint64_t Proposed(SessionId session) {
    const auto got = Got(session, v1::SchedulerMessage::kProposal);
    REQUIRE(!got.empty());
    return got.back().proposal().attempt();
  }
  void Begin(SessionId session) {
    v1::NodeMessage message;
    message.mutable_begin();
    Send(session, message);
  }
  void Down(SessionId session) {
    out = {};
    core->OnSessionDown(now, session, &out);
    Settle();
  }
  // Lets time pass, running the timer whenever it is due; `beating` sessions send heartbeats.
  void Pass(int64_t ms, const std::vector<SessionId>& beating = {}) {
    const int64_t until = now + ms;
    int64_t beat_at = now + options.heartbeat_ms;
    while (true) {
      const int64_t next = std::min(core->NextTimerMs(), beating.empty() ? INT64_MAX : beat_at);
      if (next > until) break;
      now = std::max(now, next);
      if (now >= beat_at) {
        for (const SessionId session : beating) Heartbeat(session);
        beat_at += options.heartbeat_ms;
      }
      out = {};
      core->OnTimer(now, &out);
      Settle();
      REQUIRE(core->NextTimerMs() > now);
    }
    now = until;
  }

  // Workers on sessions 1.. with nonces 101.., servers on 51.. with nonces 201.. and ports 9000...
  void StartJob() {
    for (uint32_t s = 0; s < options.servers; ++s)
      Register(51 + s, ServerRegister(201 + s, 9000 + s));
    for (uint32_t w = 0; w < options.workers; ++w) Register(1 + w, WorkerRegister(101 + w));
    REQUIRE(State() == "running");
  }
  void FormJob() {
    StartJob();
    Begin(1);
    REQUIRE(disk->begun());
  }
  const v1::ClusterStatus& Status() {
    status_ = core->Status(now);
    return status_;
  }
  std::string State() { return Status().state(); }

  // Messages of a kind that a session got, oldest first.
  std::vector<v1::SchedulerMessage> Got(SessionId session, v1::SchedulerMessage::KindCase kind) {
    std::vector<v1::SchedulerMessage> result;
    for (const v1::SchedulerMessage& message : inbox[session]) {
      if (message.kind_case() == kind) result.push_back(message);
    }
    return result;
  }
  v1::Registered Registered(SessionId session) {
    const auto got = Got(session, v1::SchedulerMessage::kRegistered);
    REQUIRE(!got.empty());
    return got.back().registered();
  }
  v1::Refused Refused(SessionId session) {
    const auto got = Got(session, v1::SchedulerMessage::kRefused);
    REQUIRE(!got.empty());
    REQUIRE(closed.count(session) == 1);
    return got.back().refused();
  }
  absl::StatusCode RefusedCode(SessionId session) {
    return static_cast<absl::StatusCode>(Refused(session).code());
  }
  std::vector<std::pair<uint64_t, absl::StatusCode>> Barriers(SessionId session) {
    std::vector<std::pair<uint64_t, absl::StatusCode>> result;
    for (const auto& message : Got(session, v1::SchedulerMessage::kBarrier)) {
      result.emplace_back(message.barrier().generation(),
                          static_cast<absl::StatusCode>(message.barrier().code()));
    }
    return result;
  }
  std::optional<v1::JobEnded> Ended(SessionId session) {
    const auto got = Got(session, v1::SchedulerMessage::kJobEnded);
    if (got.empty()) return std::nullopt;
    return got.back().job_ended();
  }
  v1::NodeStatus NodeStatus(v1::Role role, uint32_t rank) {
    for (const v1::NodeStatus& node : Status().nodes()) {
      if (node.role() == role && node.rank() == rank) return node;
    }
    return {};
  }

  bool confirms = true;  // every node confirms what is proposed to it
  int64_t now = 1000;
  SchedulerOptions options;
  std::unique_ptr<SchedulerCore> core;
  SchedulerOutbox out;  // of the last call
  std::optional<v1::SchedulerState> disk;
  std::map<SessionId, std::vector<v1::SchedulerMessage>> inbox;
  std::set<SessionId> closed;
  std::vector<v1::JobEnded> ends;

 private:
  v1::ClusterStatus status_;

  void Settle() {
    if (out.persist) disk = out.persist;
    for (const auto& message : out.messages) {
      REQUIRE(closed.count(message.session) == 0);
      inbox[message.session].push_back(message.message);
    }
    for (const SessionId session : out.close) closed.insert(session);
    if (out.job_ended) ends.push_back(*out.job_ended);
    // Whatever it decided, it can go on from it.
    if (disk) REQUIRE(SchedulerCore::CheckState(options, *disk).ToString() == "OK");
    if (!confirms) return;
    for (const auto& each : std::vector<SchedulerOutbox::Message>(out.messages)) {
      if (each.message.has_proposal()) Confirm(each.session, each.message.proposal().attempt());
    }
  }
};

}  // namespace kvstore
