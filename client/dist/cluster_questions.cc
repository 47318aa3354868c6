#include "client/dist/cluster_questions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <map>
#include <set>

#include "kvstore/kvstore.h"

namespace kvstore {

std::string WhoIsThere(const v1::ClusterStatus& status) {
  uint32_t workers = 0;
  uint32_t servers = 0;
  for (const v1::NodeStatus& node : status.nodes()) {
    if (node.health() != v1::HEALTH_ALIVE && node.health() != v1::HEALTH_SUSPECT) continue;
    workers += node.role() == v1::ROLE_WORKER ? 1 : 0;
    servers += node.role() == v1::ROLE_SERVER ? 1 : 0;
  }
  std::string text = fmt::format("{} of {} workers and {} of {} servers are there", workers,
                                 status.workers(), servers, status.servers());
  for (const std::string& obstacle : status.obstacles()) text += "; " + obstacle;
  return text;
}

absl::Status CheckNodeId(int node_id) {
  if (node_id >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("a node id or a sum of node groups (1 or more) expected, got {}", node_id));
}

int CountDead(const v1::ClusterStatus& status, int node_id, int timeout_s) {
  const bool group = node_id < 8;
  int dead = 0;
  for (const v1::NodeStatus& node : status.nodes()) {
    if (node.role() != v1::ROLE_SERVER && node.role() != v1::ROLE_WORKER) continue;
    const bool server = node.role() == v1::ROLE_SERVER;
    const int single = (server ? 8 : 9) + 2 * static_cast<int>(node.rank());
    const bool asked =
        group ? (node_id & (server ? kServerGroup : kWorkerGroup)) != 0 : node_id == single;
    if (!asked || node.health() == v1::HEALTH_LEFT) continue;
    const bool silent =
        timeout_s >= 0 && node.silent_ms() >= uint64_t{1000} * static_cast<uint64_t>(timeout_s);
    if (node.health() == v1::HEALTH_DEAD || silent) ++dead;
  }
  return dead;
}

std::string WaitedFor(const RoutingTable& routing, const std::vector<WaitInfo>& infos) {
  std::set<WorkerRank> workers;
  std::set<ServerRank> unreachable, late;
  std::map<ServerRank, absl::StatusCode> putting_off;
  std::map<ServerRank, std::string> holding;
  for (const WaitInfo& info : infos) {
    workers.insert(info.missing.begin(), info.missing.end());
    if (!info.connected) {
      unreachable.insert(info.shard.server);
    } else if (info.put_off != absl::StatusCode::kOk) {
      putting_off.emplace(info.shard.server, info.put_off);
    } else if (!info.held.empty()) {
      holding.emplace(info.shard.server, info.held);
    } else if (info.missing.empty()) {
      late.insert(info.shard.server);
    }
  }
  std::vector<std::string> names;
  for (const WorkerRank rank : workers) names.push_back(routing.WorkerName(rank));
  for (const ServerRank rank : unreachable) {
    names.push_back(routing.ServerName(rank) + ", which is not reachable");
  }
  for (const auto& [rank, why] : putting_off) {
    names.push_back(fmt::format("{}, which puts requests off: {}", routing.ServerName(rank),
                                absl::StatusCodeToString(why)));
  }
  for (const auto& [rank, why] : holding) {
    names.push_back(fmt::format("{}, where it is {}", routing.ServerName(rank), why));
  }
  // A server that is late itself is named only if nobody else explains the wait: other parts of the
  // same value may simply be queued behind.
  if (names.empty()) {
    for (const ServerRank rank : late) names.push_back(routing.ServerName(rank));
  }
  if (names.empty()) return "this process: no request to a server is open";
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace kvstore
