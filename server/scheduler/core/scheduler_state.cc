// SchedulerCore: durable state to protobuf and back, its check, and what the operator is shown.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "server/scheduler/core/scheduler_impl.h"

namespace kvstore {

namespace {

absl::Status CheckNodes(const SchedulerOptions& options, const v1::SchedulerState& state) {
  std::set<std::pair<int, uint32_t>> places;
  std::set<std::pair<int, uint32_t>> past_places;
  std::set<uint64_t> incarnations;
  std::set<uint64_t> nonces;
  const auto check = [&](const v1::NodeRecord& node, bool past) -> absl::Status {
    const bool worker = node.role() == v1::ROLE_WORKER;
    if (!worker && (node.role() != v1::ROLE_SERVER || past)) {
      return absl::DataLossError(fmt::format("a node with role {}", static_cast<int>(node.role())));
    }
    if (node.rank() >= (worker ? options.workers : options.servers)) {
      return absl::DataLossError(fmt::format("{}: rank out of range", NodeName(node)));
    }
    if (!(past ? past_places : places).insert({node.role(), node.rank()}).second) {
      return absl::DataLossError(fmt::format("{}: rank held twice", NodeName(node)));
    }
    if (node.incarnation() == 0 || node.incarnation() > state.last_incarnation() ||
        !incarnations.insert(node.incarnation()).second) {
      return absl::DataLossError(
          fmt::format("{}: incarnation {}, which was not issued or issued twice", NodeName(node),
                      node.incarnation()));
    }
    if (node.nonce() == 0 || !nonces.insert(node.nonce()).second) {
      return absl::DataLossError(fmt::format("{}: nonce missing or held twice", NodeName(node)));
    }
    return absl::OkStatus();
  };
  for (const v1::NodeRecord& node : state.nodes()) {
    if (absl::Status status = check(node, false); !status.ok()) return status;
  }
  for (const v1::NodeRecord& node : state.past_workers()) {
    if (absl::Status status = check(node, true); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// The table must route to exactly the nodes there are.
absl::Status CheckRouting(const SchedulerOptions& options, const v1::SchedulerState& state) {
  const absl::StatusOr<RoutingTable> table = RoutingTable::FromProto(state.routing());
  if (!table.ok()) return absl::DataLossError(std::string(table.status().message()));
  if (table->job != state.job() || table->epoch > state.last_epoch()) {
    return absl::DataLossError(fmt::format("routing table of job {} epoch {} in job {} epoch {}",
                                           table->job, table->epoch, state.job(),
                                           state.last_epoch()));
  }
  if (table->workers.size() != options.workers || table->servers.size() != options.servers ||
      state.nodes_size() != static_cast<int>(options.workers + options.servers)) {
    return absl::DataLossError(
        fmt::format("routing table of {} workers and {} servers with {} nodes",
                    table->workers.size(), table->servers.size(), state.nodes_size()));
  }
  for (const v1::NodeRecord& node : state.nodes()) {
    const Incarnation routed = node.role() == v1::ROLE_WORKER
                                   ? table->workers[node.rank()].incarnation
                                   : table->servers[node.rank()].incarnation;
    if (routed != node.incarnation()) {
      return absl::DataLossError(fmt::format("{}: incarnation {}, but {} in the routing table",
                                             NodeName(node), node.incarnation(), routed));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SchedulerCore::CheckState(const SchedulerOptions& options,
                                       const v1::SchedulerState& state) {
  if (state.workers() != options.workers || state.servers() != options.servers) {
    return absl::FailedPreconditionError(
        fmt::format("this cluster was founded with {} workers and {} servers, asked for are {} "
                    "workers and {} servers; give the same numbers or another state directory",
                    state.workers(), state.servers(), options.workers, options.servers));
  }
  if (state.job() == 0 || state.term() == 0) {
    return absl::DataLossError(
        fmt::format("job {} and term {}: both count from 1", state.job(), state.term()));
  }
  if (state.has_ended() && state.ended().job() + 1 != state.job()) {
    return absl::DataLossError(
        fmt::format("job {} ended before job {}", state.ended().job(), state.job()));
  }
  if (!state.has_ended() && state.past_workers_size() != 0) {
    return absl::DataLossError("workers of a job that never ended");
  }
  if (state.begun() && state.routing().epoch() == 0) {
    return absl::DataLossError(fmt::format("job {} has begun without a table", state.job()));
  }
  if (absl::Status status = CheckNodes(options, state); !status.ok()) return status;
  return state.routing().epoch() == 0 ? absl::OkStatus() : CheckRouting(options, state);
}

v1::SchedulerState SchedulerCore::Impl::ToState() const {
  v1::SchedulerState state;
  state.set_cluster(cluster_);
  state.set_term(term_);
  state.set_job(job_);
  state.set_last_incarnation(last_incarnation_);
  state.set_last_epoch(last_epoch_);
  state.set_workers(options_.workers);
  state.set_servers(options_.servers);
  state.set_store_type(store_type_);
  for (const auto& [key, node] : nodes_) *state.add_nodes() = node.record;
  if (running()) *state.mutable_routing() = routing_;
  state.set_begun(begun_);
  state.set_barrier_generation(barrier_generation_);
  if (ended_) *state.mutable_ended() = *ended_;
  for (const auto& [key, node] : past_workers_) *state.add_past_workers() = node.record;
  return state;
}

void SchedulerCore::Impl::FromState(const v1::SchedulerState& state) {
  cluster_ = state.cluster();
  term_ = state.term();
  job_ = state.job();
  last_incarnation_ = state.last_incarnation();
  last_epoch_ = state.last_epoch();
  store_type_ = state.store_type();
  routing_ = state.routing();
  begun_ = state.begun();
  barrier_generation_ = state.barrier_generation();
  if (state.has_ended()) ended_ = state.ended();
  for (const v1::NodeRecord& record : state.nodes()) {
    Node& node = nodes_[{record.role(), record.rank()}];
    node.record = record;
    node.vacant = record.left() && !running();
    if (record.left()) node.health = v1::HEALTH_LEFT;
  }
  for (const v1::NodeRecord& record : state.past_workers()) {
    past_workers_[{record.role(), record.rank()}].record = record;
  }
}

// "finished" and "failed: …" last until somebody joins the next job.
std::string SchedulerCore::Impl::StateName() const {
  if (running()) return "running";
  for (const auto& [key, node] : nodes_) {
    if (node.record.role() == v1::ROLE_WORKER && !node.vacant) return "forming";
  }
  if (!ended_) return "forming";
  return ended_->code() == 0 ? "finished" : "failed: " + ended_->message();
}

v1::ClusterStatus SchedulerCore::Impl::Status(int64_t now_ms) const {
  v1::ClusterStatus status;
  status.set_cluster(cluster_);
  status.set_term(term_);
  status.set_epoch(routing_.epoch());
  status.set_state(StateName());
  const bool over = !running() && status.state() != "forming";
  status.set_job(over ? ended_->job() : job_);
  status.set_workers(options_.workers);
  status.set_servers(options_.servers);
  status.set_store_type(store_type_);
  const auto add = [&](const Node& node) {
    v1::NodeStatus* entry = status.add_nodes();
    entry->set_role(node.record.role());
    entry->set_rank(node.record.rank());
    entry->set_incarnation(node.record.incarnation());
    entry->set_address(node.record.address());
    entry->set_health(node.health);
    entry->set_silent_ms(static_cast<uint64_t>(std::max<int64_t>(now_ms - node.heard_ms, 0)));
    entry->set_connected(node.session.has_value());
    entry->set_shards(node.record.shards());
    entry->set_slots(SlotsOf(node.record));
  };
  for (const auto& [key, node] : nodes_) add(node);
  // Those who died with a job are asked for when it is over (get_num_dead_node).
  if (over) {
    for (const auto* gone : {&past_workers_, &dead_servers_}) {
      for (const auto& [key, node] : *gone) {
        if (nodes_.count(key) == 0) add(node);
      }
    }
  }
  for (const auto& [session, reader] : readers_) {
    const int64_t silent_ms = std::max<int64_t>(now_ms - reader.heard_ms, 0);
    v1::NodeStatus* entry = status.add_nodes();
    entry->set_role(v1::ROLE_READER);
    entry->set_rank(kReaderRank);
    entry->set_incarnation(reader.incarnation);
    entry->set_address(reader.address);
    entry->set_health(silent_ms < options_.suspect_ms ? v1::HEALTH_ALIVE : v1::HEALTH_SUSPECT);
    entry->set_silent_ms(static_cast<uint64_t>(silent_ms));
    entry->set_connected(true);
  }
  for (const auto& [key, obstacle] : obstacles_) status.add_obstacles(obstacle.text);
  if (!barrier_arrivals_.empty()) {
    v1::BarrierStatus* barrier = status.add_barriers();
    barrier->set_generation(barrier_generation_ + 1);
    barrier->set_age_ms(static_cast<uint64_t>(std::max<int64_t>(now_ms - barrier_since_ms_, 0)));
    for (WorkerRank rank = 0; rank < options_.workers; ++rank) {
      const auto it = nodes_.find({v1::ROLE_WORKER, rank});
      if (it != nodes_.end() && it->second.record.left()) continue;
      if (barrier_arrivals_.count(rank) != 0) {
        barrier->add_arrived_ranks(rank);
      } else {
        barrier->add_missing_ranks(rank);
      }
    }
  }
  return status;
}

}  // namespace kvstore
