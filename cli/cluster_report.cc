#include "cli/cluster_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "cli/printer.h"
#include "common/base/json_writer.h"

namespace kvstore {
namespace {

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

// "worker 0, worker 2 (suspect)".
template <typename Ranks>
std::string WorkersText(const v1::ClusterStatus& cluster, const Ranks& ranks) {
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

// Servers first, by rank; readers, which have none, last.
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

std::string NodeName(const v1::NodeStatus& node) {
  if (node.role() == v1::ROLE_READER) return RoleText(node.role());
  return fmt::format("{} {}", RoleText(node.role()), node.rank());
}

// What the server of that rank answered; null if it did not.
const v1::ServerStatus* AnswerOf(const ClusterReport& report, uint32_t rank) {
  const auto server = report.servers.find(rank);
  return server != report.servers.end() && server->second.ok() ? &*server->second : nullptr;
}

// How long rounds waited for the worker as the last one, at the server where that is most.
std::optional<uint64_t> WaitedFor(const ClusterReport& report, uint32_t rank) {
  std::optional<uint64_t> most;
  for (const auto& [server, status] : report.servers) {
    if (!status.ok() || status->waited_for_ms_size() <= static_cast<int>(rank)) continue;
    most = std::max(most.value_or(0), status->waited_for_ms(static_cast<int>(rank)));
  }
  return most;
}

struct Rounds {
  struct Row {
    uint32_t server;
    v1::OpenRound round;
    std::string key;
  };
  std::vector<Row> rows;  // oldest first
  uint64_t total = 0;     // servers tell their oldest ones only
  std::vector<std::string> errors;
};

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

std::string NodesTable(const ClusterReport& report) {
  Table table({"NODE", "ADDRESS", "HEALTH", "LAST HEARD", "SHARDS", "SLOTS", "KEYS", "VALUES",
               "INCARNATION", "WAITED FOR"});
  for (const v1::NodeStatus& node : SortedNodes(report.cluster)) {
    std::string shards;
    std::string slots;
    std::string keys;
    std::string values;
    std::string waited;
    if (node.role() == v1::ROLE_WORKER) {
      const std::optional<uint64_t> ms = WaitedFor(report, node.rank());
      if (ms) waited = DurationText(*ms);
    }
    if (node.role() == v1::ROLE_SERVER) {
      shards = std::to_string(node.shards());
      slots = std::to_string(node.slots());
      if (const v1::ServerStatus* server = AnswerOf(report, node.rank())) {
        keys = std::to_string(server->keys());
        values = fmt::format("{:.1f} MB", static_cast<double>(server->value_bytes()) / 1e6);
      }
    }
    std::string health = HealthText(node.health());
    if (!node.connected() && node.health() == v1::HEALTH_ALIVE) health += ", not connected";
    table.AddRow({NodeName(node), node.address(), health, DurationText(node.silent_ms()) + " ago",
                  shards, slots, keys, values, std::to_string(node.incarnation()), waited});
  }
  return table.empty() ? "no nodes yet\n" : table.ToString();
}

// What is out of the ordinary about a server: a line for each.
std::string ServerLines(const ClusterReport& report) {
  std::string text;
  const auto add = [&text](uint32_t rank, const std::string& what) {
    text += fmt::format("{}server {}: {}\n", text.empty() ? "\n" : "", rank, what);
  };
  for (const auto& [rank, status] : report.servers) {
    if (!status.ok()) continue;
    if (!status->updater_plugin().empty()) add(rank, "updater plugin " + status->updater_plugin());
    if (status->not_finite_pushes() > 0) {
      add(rank, fmt::format("{} pushes with NaN or infinity", status->not_finite_pushes()));
    }
  }
  return text;
}

std::string BarriersTable(const v1::ClusterStatus& cluster) {
  Table table({"BARRIER", "OPEN FOR", "ARRIVED", "WAITING FOR"});
  for (const v1::BarrierStatus& barrier : cluster.barriers()) {
    table.AddRow({std::to_string(barrier.generation()), DurationText(barrier.age_ms()),
                  WorkersText(cluster, barrier.arrived_ranks()),
                  WorkersText(cluster, barrier.missing_ranks())});
  }
  return table.empty() ? "" : "\n" + table.ToString();
}

// Who is missing in the round, or what holds it.
std::string WaitingText(const v1::ClusterStatus& cluster, const v1::OpenRound& round) {
  if (round.held_from_step() == 0) return WorkersText(cluster, round.missing_ranks());
  return fmt::format("held by a change of the optimizer's numbers at step {}",
                     round.held_from_step());
}

std::string RoundsTable(const ClusterReport& report) {
  const Rounds rounds = OpenRounds(report);
  Table table({"KEY", "ROUND", "PARTS", "AT", "OPEN FOR", "WAITING FOR"});
  for (const Rounds::Row& row : rounds.rows) {
    table.AddRow({row.key, std::to_string(row.round.round()), std::to_string(row.round.parts()),
                  fmt::format("server {}", row.server), DurationText(row.round.age_ms()),
                  WaitingText(report.cluster, row.round)});
  }
  std::string text = table.empty() ? "\nno open rounds\n" : "\n" + table.ToString();
  if (rounds.total > rounds.rows.size()) {
    text += fmt::format("... and {} more open rounds\n", rounds.total - rounds.rows.size());
  }
  for (const std::string& error : rounds.errors) text += "\n" + error + "\n";
  return text;
}

size_t CountAlive(const v1::ClusterStatus& cluster, v1::Role role) {
  return static_cast<size_t>(std::count_if(
      cluster.nodes().begin(), cluster.nodes().end(),
      [&](const auto& node) { return node.role() == role && node.health() == v1::HEALTH_ALIVE; }));
}

template <typename Ranks>
void WriteWorkers(JsonWriter& json, const char* name, const Ranks& ranks) {
  json.Key(name).BeginArray();
  for (const uint32_t rank : ranks) json.Value(fmt::format("worker {}", rank));
  json.End();
}

void WriteNode(JsonWriter& json, const ClusterReport& report, const v1::NodeStatus& node) {
  json.BeginObject().Member("node", NodeName(node)).Member("role", RoleText(node.role()));
  if (node.role() != v1::ROLE_READER) json.Member("rank", uint64_t{node.rank()});
  json.Member("incarnation", node.incarnation())
      .Member("address", node.address())
      .Member("health", HealthText(node.health()))
      .Member("connected", node.connected())
      .Member("silent_ms", node.silent_ms());
  if (node.role() == v1::ROLE_WORKER) {
    const std::optional<uint64_t> ms = WaitedFor(report, node.rank());
    if (ms) json.Member("waited_for_ms", *ms);
  }
  if (node.role() == v1::ROLE_SERVER) {
    json.Member("shards", uint64_t{node.shards()}).Member("slots", uint64_t{node.slots()});
    if (const v1::ServerStatus* server = AnswerOf(report, node.rank())) {
      json.Member("keys", server->keys())
          .Member("value_bytes", server->value_bytes())
          .Member("parked_bytes", server->parked_bytes())
          .Member("held_bytes", server->held_bytes())
          .Member("resident_bytes", server->resident_bytes())
          .Member("committed_rounds", server->committed_rounds())
          .Member("payload_bytes_moved", server->payload_bytes_moved())
          .Member("payload_bytes_copied", server->payload_bytes_copied())
          .Member("updater_plugin", server->updater_plugin())
          .Member("not_finite_pushes", server->not_finite_pushes())
          .Member("streams", server->streams())
          .Member("streams_in_memory", server->streams_in_memory());
    }
  }
  json.End();
}

}  // namespace

std::string ReportAsTable(const ClusterReport& report) {
  const v1::ClusterStatus& cluster = report.cluster;
  const size_t readers = CountAlive(cluster, v1::ROLE_READER);
  const std::string text = fmt::format(
      "cluster {:016x}: {}\n"
      "job {}{}, epoch {}, term {}; {} of {} workers and {} of {} servers alive{}\n\n",
      cluster.cluster(), cluster.state(), cluster.job(),
      cluster.store_type().empty() ? "" : " (" + cluster.store_type() + ")", cluster.epoch(),
      cluster.term(), CountAlive(cluster, v1::ROLE_WORKER), cluster.workers(),
      CountAlive(cluster, v1::ROLE_SERVER), cluster.servers(),
      readers == 0 ? "" : fmt::format(", {} reader{}", readers, readers == 1 ? "" : "s"));
  std::string obstacles;
  for (const std::string& obstacle : cluster.obstacles()) obstacles += "\n" + obstacle + "\n";
  return text + NodesTable(report) + ServerLines(report) + obstacles + BarriersTable(cluster) +
         RoundsTable(report);
}

std::string ReportAsJson(const ClusterReport& report) {
  const v1::ClusterStatus& cluster = report.cluster;
  JsonWriter json;
  json.BeginObject()
      .Member("cluster", fmt::format("{:016x}", cluster.cluster()))
      .Member("state", cluster.state())
      .Member("job", cluster.job())
      .Member("store_type", cluster.store_type())
      .Member("epoch", cluster.epoch())
      .Member("term", cluster.term())
      .Member("workers", uint64_t{cluster.workers()})
      .Member("servers", uint64_t{cluster.servers()});

  json.Key("nodes").BeginArray();
  for (const v1::NodeStatus& node : SortedNodes(cluster)) WriteNode(json, report, node);
  json.End();

  json.Key("obstacles").BeginArray();
  for (const std::string& obstacle : cluster.obstacles()) json.Value(obstacle);
  json.End();

  json.Key("barriers").BeginArray();
  for (const v1::BarrierStatus& barrier : cluster.barriers()) {
    json.BeginObject()
        .Member("generation", barrier.generation())
        .Member("age_ms", barrier.age_ms());
    WriteWorkers(json, "arrived", barrier.arrived_ranks());
    WriteWorkers(json, "missing", barrier.missing_ranks());
    json.End();
  }
  json.End();

  const Rounds rounds = OpenRounds(report);
  json.Key("open_rounds").BeginArray();
  for (const Rounds::Row& row : rounds.rows) {
    json.BeginObject()
        .Member("key", row.key)
        .Member("round", row.round.round())
        .Member("parts", uint64_t{row.round.parts()})
        .Member("server", fmt::format("server {}", row.server))
        .Member("age_ms", row.round.age_ms());
    WriteWorkers(json, "missing", row.round.missing_ranks());
    json.Member("held_from_step", row.round.held_from_step());
    json.End();
  }
  json.End().Member("open_rounds_total", rounds.total);

  json.Key("errors").BeginArray();
  for (const std::string& error : rounds.errors) json.Value(error);
  json.End().End();
  return json.text() + "\n";
}

}  // namespace kvstore
