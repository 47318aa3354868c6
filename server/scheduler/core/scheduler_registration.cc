// SchedulerCore: who may take which rank. S2, S3 and the refusals.
#include <fmt/format.h>

#include <algorithm>

#include "common/model/protocol_version.h"
#include "common/model/store_mode.h"
#include "server/scheduler/core/scheduler_impl.h"

namespace kvstore {

namespace {

const char* RoleName(v1::Role role) {
  if (role == v1::ROLE_READER) return "reader";
  return role == v1::ROLE_WORKER ? "worker" : "server";
}

bool IsPrintable(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// HOST:PORT with a port of 1 to 65535.
bool IsAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || text.size() - colon - 1 > 5) return false;
  uint32_t port = 0;
  for (const char c : text.substr(colon + 1)) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  return port >= 1 && port <= 65535;
}

}  // namespace

void SchedulerCore::Impl::OnRegister(SessionId session, const v1::Register& request) {
  if (absl::Status status = CheckRequest(request); !status.ok()) return Refuse(session, status);

  // One session speaks for one node.
  const auto reader = readers_.find(session);
  if (reader != readers_.end() &&
      (reader->second.nonce != request.nonce() || request.role() != v1::ROLE_READER)) {
    return Refuse(session, absl::InvalidArgumentError(
                               "a session registers one node; this one has registered a reader"));
  }
  if (const auto owner = sessions_.find(session); owner != sessions_.end()) {
    const auto [key, past] = owner->second;
    if ((past ? past_workers_ : nodes_).at(key).record.nonce() != request.nonce()) {
      return Refuse(session, absl::InvalidArgumentError(
                                 "a session registers one node; this one has registered another"));
    }
  }
  if (request.role() == v1::ROLE_READER && sessions_.count(session) == 0) {
    return OnReaderRegisters(session, request);
  }
  if (Node* node = FindByNonce(request.nonce())) return Resume(session, request, node);
  if (Node* node = FindPastByNonce(request.nonce())) return ResumePast(session, node);
  if (request.incarnation() != 0) {
    // S3: it had a rank, and what it belonged to went on without it.
    return Refuse(session,
                  absl::AbortedError(fmt::format(
                      "{} '{}' incarnation {} has no place here any more: its rank was given up or "
                      "its job is over; a new process may register",
                      RoleName(request.role()), request.address(), request.incarnation())));
  }
  if (RefusedForItsAddress(session, request)) return;
  const absl::StatusOr<uint32_t> rank = ChooseRank(request);
  if (!rank.ok()) return Refuse(session, rank.status());
  Admit(session, request, *rank);
}

absl::Status SchedulerCore::Impl::CheckRequest(const v1::Register& request) const {
  if (request.protocol() != kProtocolVersion) {
    return absl::FailedPreconditionError(fmt::format(
        "protocol {0}: this scheduler speaks {1} to {1}", request.protocol(), kProtocolVersion));
  }
  if (request.role() != v1::ROLE_WORKER && request.role() != v1::ROLE_SERVER &&
      request.role() != v1::ROLE_READER) {
    return absl::InvalidArgumentError(
        fmt::format("role {}: expected worker ({}), server ({}) or reader ({})",
                    static_cast<int>(request.role()), static_cast<int>(v1::ROLE_WORKER),
                    static_cast<int>(v1::ROLE_SERVER), static_cast<int>(v1::ROLE_READER)));
  }
  if (request.nonce() == 0) {
    return absl::InvalidArgumentError("nonce 0: expected a random number");
  }
  if (request.address().empty() || request.address().size() > kNodeAddressBytesMax) {
    return absl::InvalidArgumentError(fmt::format("address: expected 1 to {} bytes, got {}",
                                                  kNodeAddressBytesMax, request.address().size()));
  }
  if (!IsPrintable(request.address())) {
    return absl::InvalidArgumentError("address: it has control characters in it");
  }
  if (request.role() == v1::ROLE_SERVER) {
    if (!IsAddress(request.address())) {
      return absl::InvalidArgumentError(
          fmt::format("address '{}': expected HOST:PORT", request.address()));
    }
    if (request.shards() == 0 || request.shards() > kShardsMax) {
      return absl::InvalidArgumentError(
          fmt::format("shards {}: expected 1 to {}", request.shards(), kShardsMax));
    }
    if (request.updater_plugin().size() > kPluginBytesMax ||
        !IsPrintable(request.updater_plugin())) {
      return absl::InvalidArgumentError(
          fmt::format("updater plugin: expected at most {} printable bytes, got {}",
                      kPluginBytesMax, request.updater_plugin().size()));
    }
  } else if (request.store_type().empty() || request.store_type().size() > 64 ||
             !IsPrintable(request.store_type())) {
    return absl::InvalidArgumentError(fmt::format(
        "store type: expected 1 to 64 printable bytes, got {}", request.store_type().size()));
  } else if (absl::Status bound = CheckStaleness(request.store_type()); !bound.ok()) {
    return bound;
  }
  if (request.role() == v1::ROLE_READER) {
    if (request.wanted_rank_plus_one() == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("reader: no rank expected, it asks for {}",
                                                  request.wanted_rank_plus_one() - 1));
  }
  const uint32_t places = request.role() == v1::ROLE_WORKER ? options_.workers : options_.servers;
  if (request.wanted_rank_plus_one() > places) {
    return absl::InvalidArgumentError(fmt::format("{} rank {}: expected 0 to {}",
                                                  RoleName(request.role()),
                                                  request.wanted_rank_plus_one() - 1, places - 1));
  }
  return absl::OkStatus();
}

SchedulerCore::Impl::Node* SchedulerCore::Impl::FindByNonce(uint64_t nonce) {
  for (auto& [key, node] : nodes_) {
    if (node.record.nonce() == nonce) return &node;
  }
  return nullptr;
}

SchedulerCore::Impl::Node* SchedulerCore::Impl::FindPastByNonce(uint64_t nonce) {
  for (auto& [key, node] : past_workers_) {
    if (node.record.nonce() == nonce) return &node;
  }
  return nullptr;
}

// S2: the same process on another session, or after a restart of the scheduler.
void SchedulerCore::Impl::Resume(SessionId session, const v1::Register& request, Node* node) {
  if (request.role() != node->record.role()) {
    return Refuse(session, absl::InvalidArgumentError(fmt::format(
                               "this process is registered as {}", NodeName(node->record))));
  }
  if (request.incarnation() != 0 && request.incarnation() != node->record.incarnation()) {
    return Refuse(session, absl::AbortedError(
                               fmt::format("{} has incarnation {}, got {}", NodeName(node->record),
                                           node->record.incarnation(), request.incarnation())));
  }
  if (node->vacant && !node->record.left()) {
    // The node was given up while the job formed, and nobody has taken its rank meanwhile.
    absl::Status status = CheckPlugin(request, node->record.rank());
    if (status.ok()) status = AdoptStoreType(request);
    if (!status.ok()) return Refuse(session, status);
    node->vacant = false;
  }
  Bind(session, node, /*past=*/false);
  node->heard_ms = now_ms_;
  if (!node->record.left()) SetHealth(node, v1::HEALTH_ALIVE);
  Arm(NodeTimerMs(*node));
  SendRegistered(*node, job_);
  SendWhoIsUnwell(*node);
  if (ended_ && node->record.job() == ended_->job()) {
    v1::SchedulerMessage message;
    *message.mutable_job_ended() = *ended_;
    SendTo(*node, std::move(message));
  }
  if (running()) {
    v1::SchedulerMessage message;
    *message.mutable_routing() = routing_;
    SendTo(*node, std::move(message));
    // A barrier or a begin may have waited for this member to be connected.
    TryCompleteBarrier();
    TryBegin();
  } else if (attempt_) {
    SendProposal(*node);  // it said the same on the same session
  } else {
    Propose();
  }
}

// A worker of the job that is over: it learns how that ended, however late it comes.
void SchedulerCore::Impl::ResumePast(SessionId session, Node* node) {
  Bind(session, node, /*past=*/true);
  SendRegistered(*node, ended_->job());
  v1::SchedulerMessage message;
  *message.mutable_job_ended() = *ended_;
  SendTo(*node, std::move(message));
}

// A new process registers with the address of a server: the proof that the old process is gone,
// with its memory. So the old one is given up: the job forms again (S9) or, if it had begun, ends
// (S6); either way the new process then takes the free place. Returns true if it was refused
// instead, because the old one is still connected, or seems to be.
bool SchedulerCore::Impl::RefusedForItsAddress(SessionId session, const v1::Register& request) {
  if (!running() || request.role() != v1::ROLE_SERVER) return false;
  for (auto& [key, node] : nodes_) {
    if (node.record.role() != v1::ROLE_SERVER || node.record.address() != request.address()) {
      continue;
    }
    if (node.session) {
      Refuse(session, HeldBy(node));
      return true;
    }
    const v1::NodeRecord record = node.record;
    if (!begun_) {
      Reform(fmt::format("{} is a new process", NodeName(record)));
      return false;
    }
    SetHealth(&node, v1::HEALTH_DEAD);
    EndJob(absl::StatusCode::kDataLoss,
           fmt::format("{} restarted and {}", NodeName(record), LostSlots(record)));
    nodes_.erase({record.role(), record.rank()});
    return false;
  }
  return false;
}

absl::StatusOr<uint32_t> SchedulerCore::Impl::ChooseRank(const v1::Register& request) const {
  const v1::Role role = request.role();
  const uint32_t places = role == v1::ROLE_WORKER ? options_.workers : options_.servers;
  const auto at = [&](uint32_t rank) -> const Node* {
    const auto it = nodes_.find({role, rank});
    return it == nodes_.end() ? nullptr : &it->second;
  };
  if (role == v1::ROLE_SERVER) {
    // The same address: the same server, restarted. (Only while the job forms.)
    for (uint32_t rank = 0; rank < places; ++rank) {
      const Node* node = at(rank);
      if (node == nullptr || node->record.address() != request.address()) continue;
      if (node->session) return HeldBy(*node);
      return rank;
    }
  }
  if (request.wanted_rank_plus_one() != 0) {
    const uint32_t rank = request.wanted_rank_plus_one() - 1;
    const Node* node = at(rank);
    if (node == nullptr || (!running() && node->vacant)) return rank;
    return HeldBy(*node);
  }
  // Ranks that nobody ever had come first: a process that was given up may still come back.
  for (uint32_t rank = 0; rank < places; ++rank) {
    if (at(rank) == nullptr) return rank;
  }
  for (uint32_t rank = 0; rank < places && !running(); ++rank) {
    if (at(rank)->vacant) return rank;
  }
  return NoPlace(role);
}

// The refusal of a rank or address that `node` has: UNAVAILABLE (come again) wherever the place may
// soon be free. The node has left; or it is lost, and it will be clear in a moment whether it is
// dead; or it seems connected, but the one who asks may be that very process, started again before
// its end was noticed. ALREADY_EXISTS only for a worker that is connected in a job that began long
// ago.
absl::Status SchedulerCore::Impl::HeldBy(const Node& node) const {
  const std::string name = NodeName(node.record);
  if (node.record.left()) {
    return absl::UnavailableError(
        fmt::format("{} has left job {}, which is about to end; try again", name, job_));
  }
  if (!node.session) {
    return absl::UnavailableError(
        fmt::format("{} is lost and given up in {} unless it comes back; try again", name,
                    Seconds(std::max<int64_t>(LostDeadAtMs(node) - now_ms_, 0))));
  }
  if (node.record.role() == v1::ROLE_SERVER) {
    // Its old connection may be half open after a crash of the machine.
    return absl::UnavailableError(fmt::format(
        "{} is registered and connected; two servers cannot share an address; try again", name));
  }
  const std::string held = fmt::format("rank {} is held by {}", node.record.rank(), name);
  if (!BeganLongAgo()) return absl::UnavailableError(held + ", which is connected; try again");
  return absl::AlreadyExistsError(held + ", which is alive");
}

absl::Status SchedulerCore::Impl::NoPlace(v1::Role role) const {
  for (const auto& [key, node] : nodes_) {
    if (node.record.role() == role && (!node.session || node.record.left())) return HeldBy(node);
  }
  const uint32_t places = role == v1::ROLE_WORKER ? options_.workers : options_.servers;
  const std::string full = fmt::format("job {} has its {} {}s", job_, places, RoleName(role));
  if (!begun_) return absl::UnavailableError(full + ", but has not begun; try again");
  if (!BeganLongAgo()) return absl::UnavailableError(full + ", but began just now; try again");
  return absl::ResourceExhaustedError(full + " already");
}

// Example, with lost_dead_ms = 5 s: worker 0 dies at 7.5 s and is started again; the job begins at
// 7.7 s; the new process asks for a place at 7.9 s; worker 0's connection is known to be gone at
// 8.2 s. At 7.9 s it is put off. It comes again at 8.9 s, and is put off because worker 0 is lost;
// when that ends the job, it gets its place in the next one.
bool SchedulerCore::Impl::BeganLongAgo() const {
  return begun_ && now_ms_ - begun_ms_ >= options_.lost_dead_ms;
}

// All workers of a job name the same type; the first one chooses.
absl::Status SchedulerCore::Impl::AdoptStoreType(const v1::Register& request) {
  if (request.role() != v1::ROLE_WORKER || store_type_ == request.store_type()) {
    return absl::OkStatus();
  }
  for (const auto& [key, node] : nodes_) {
    if (node.record.role() != v1::ROLE_WORKER || node.vacant) continue;
    return absl::FailedPreconditionError(
        fmt::format("store type '{}': {} has created '{}', and all workers of a job must agree",
                    request.store_type(), NodeName(node.record), store_type_));
  }
  store_type_ = request.store_type();
  dirty_ = true;
  return absl::OkStatus();
}

// A key has parts on all servers: with two updaters it would be updated in two ways.
absl::Status SchedulerCore::Impl::CheckPlugin(const v1::Register& request, uint32_t rank) const {
  if (request.role() != v1::ROLE_SERVER) return absl::OkStatus();
  const auto named = [](const std::string& plugin) {
    return plugin.empty() ? std::string("none") : plugin;
  };
  for (const auto& [key, node] : nodes_) {
    const v1::NodeRecord& other = node.record;
    if (other.role() != v1::ROLE_SERVER || other.rank() == rank || node.vacant || other.left() ||
        other.updater_plugin() == request.updater_plugin()) {
      continue;
    }
    return absl::FailedPreconditionError(fmt::format(
        "updater plugin: {} expected, as {} has it, got {}", named(other.updater_plugin()),
        NodeName(other), named(request.updater_plugin())));
  }
  return absl::OkStatus();
}

void SchedulerCore::Impl::Admit(SessionId session, const v1::Register& request, uint32_t rank) {
  absl::Status status = CheckPlugin(request, rank);
  if (status.ok()) status = AdoptStoreType(request);
  if (!status.ok()) return Refuse(session, status);
  Node& node = nodes_[{request.role(), rank}];
  node.record.Clear();
  node.record.set_role(request.role());
  node.record.set_rank(rank);
  node.record.set_incarnation(++last_incarnation_);
  node.record.set_nonce(request.nonce());
  node.record.set_address(request.address());
  node.record.set_shards(request.role() == v1::ROLE_SERVER ? request.shards() : 0);
  if (request.role() == v1::ROLE_SERVER) {
    node.record.set_updater_plugin(request.updater_plugin());
  }
  node.vacant = false;
  node.heard_ms = now_ms_;
  dirty_ = true;
  SetHealth(&node, v1::HEALTH_ALIVE);  // of the rank; its last holder may have been suspect
  Bind(session, &node, /*past=*/false);
  Arm(NodeTimerMs(node));
  Log(fmt::format("registered {} incarnation {}", NodeName(node.record),
                  node.record.incarnation()));
  SendRegistered(node, job_);
  SendWhoIsUnwell(node);
  Propose();
}

void SchedulerCore::Impl::Bind(SessionId session, Node* node, bool past) {
  if (node->session != session) GiveUpAttempt();
  if (node->session && *node->session != session) CloseSession(*node->session);
  node->session = session;
  sessions_[session] = {{node->record.role(), node->record.rank()}, past};
}

void SchedulerCore::Impl::SendRegistered(const Node& node, JobId job) {
  if (!node.session) return;
  SendRegistered(*node.session, node.record.rank(), node.record.incarnation(), job);
}

void SchedulerCore::Impl::SendRegistered(SessionId session, uint32_t rank, Incarnation incarnation,
                                         JobId job) {
  v1::SchedulerMessage message;
  v1::Registered* registered = message.mutable_registered();
  registered->set_cluster(cluster_);
  registered->set_term(term_);
  registered->set_rank(rank);
  registered->set_incarnation(incarnation);
  registered->set_job(job);
  registered->set_workers(options_.workers);
  registered->set_servers(options_.servers);
  registered->set_heartbeat_ms(static_cast<uint32_t>(options_.heartbeat_ms));
  Send(session, std::move(message));
}

void SchedulerCore::Impl::SendWhoIsUnwell(const Node& to) {
  for (const auto& [key, node] : nodes_) {
    if (node.health == v1::HEALTH_ALIVE || &node == &to) continue;
    v1::SchedulerMessage message;
    message.mutable_node_health()->set_role(node.record.role());
    message.mutable_node_health()->set_rank(node.record.rank());
    message.mutable_node_health()->set_health(node.health);
    SendTo(to, std::move(message));
  }
}

}  // namespace kvstore
