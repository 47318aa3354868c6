#include "cli/cluster_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace kvstore {

std::string RoleText(v1::Role role) {
  switch (role) {
    case v1::ROLE_SCHEDULER:
      return "scheduler";
    case v1::ROLE_WORKER:
      return "worker";
    case v1::ROLE_SERVER:
      return "server";
    case v1::ROLE_READER:
      return "reader";
    default:
      return "unknown";
  }
}

std::string HealthText(v1::Health health) {
  switch (health) {
    case v1::HEALTH_ALIVE:
      return "alive";
    case v1::HEALTH_SUSPECT:
      return "suspect";
    case v1::HEALTH_DEAD:
      return "dead";
    case v1::HEALTH_LEFT:
      return "left";
    default:
      return "unknown";
  }
}

std::string NodeName(const v1::NodeStatus& node) {
  if (node.role() == v1::ROLE_READER) return RoleText(node.role());
  return fmt::format("{} {}", RoleText(node.role()), node.rank());
}

std::string WorkersText(const v1::ClusterStatus& cluster,
                        const google::protobuf::RepeatedField<uint32_t>& ranks) {
  std::string text;
  for (const uint32_t rank : ranks) {
    if (!text.empty()) text += ", ";
    text += fmt::format("worker {}", rank);
    for (const v1::NodeStatus& node : cluster.nodes()) {
      if (node.role() == v1::ROLE_WORKER && node.rank() == rank &&
          node.health() != v1::HEALTH_ALIVE) {
        text += fmt::format(" ({})", HealthText(node.health()));
      }
    }
  }
  return text;
}

std::vector<v1::NodeStatus> SortedNodes(const v1::ClusterStatus& cluster) {
  std::vector<v1::NodeStatus> nodes(cluster.nodes().begin(), cluster.nodes().end());
  const auto place = [](const v1::NodeStatus& node) {
    return std::make_tuple(node.role() == v1::ROLE_READER, -static_cast<int>(node.role()),
                           node.rank(), node.incarnation());
  };
  std::stable_sort(nodes.begin(), nodes.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return nodes;
}

const v1::ServerStatus* AnswerOf(const ClusterReport& report, uint32_t rank) {
  const auto server = report.servers.find(rank);
  return server != report.servers.end() && server->second.ok() ? &*server->second : nullptr;
}

std::optional<uint64_t> WaitedFor(const ClusterReport& report, uint32_t rank) {
  std::optional<uint64_t> most;
  for (const auto& [server, status] : report.servers) {
    if (!status.ok() || status->waited_for_ms_size() <= static_cast<int>(rank)) continue;
    most = std::max(most.value_or(0), status->waited_for_ms(static_cast<int>(rank)));
  }
  return most;
}

Rounds OpenRounds(const ClusterReport& report) {
  Rounds rounds;
  for (const auto& [rank, status] : report.servers) {
    if (!status.ok()) {
      rounds.errors.push_back(
          fmt::format("server {}: {}", rank, std::string(status.status().message())));
      continue;
    }
    rounds.total += status->open_rounds_total();
    for (const v1::OpenRound& round : status->open_rounds()) {
      // Int keys have no name.
      const std::string key =
          round.name().empty() ? std::to_string(static_cast<int64_t>(round.key())) : round.name();
      rounds.rows.push_back({rank, round, key});
    }
  }
  std::stable_sort(rounds.rows.begin(), rounds.rows.end(), [](const auto& a, const auto& b) {
    return a.round.age_ms() > b.round.age_ms();
  });
  return rounds;
}

std::string WaitingText(const v1::ClusterStatus& cluster, const v1::OpenRound& round) {
  if (round.held_from_step() == 0) return WorkersText(cluster, round.missing_ranks());
  return fmt::format("held by a change of the optimizer's numbers at step {}",
                     round.held_from_step());
}

}  // namespace kvstore
