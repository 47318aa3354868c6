#include "cli/cluster_report.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "cli/printer.h"

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

std::string Nodes(const ClusterReport& report) {
  Table table({"NODE", "ADDRESS", "HEALTH", "LAST HEARD", "SHARDS", "SLOTS", "KEYS", "VALUES",
               "INCARNATION"});
  std::vector<v1::NodeStatus> nodes(report.cluster.nodes().begin(), report.cluster.nodes().end());
  std::stable_sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) {
    return a.role() != b.role() ? a.role() > b.role() : a.rank() < b.rank();  // servers first
  });
  for (const v1::NodeStatus& node : nodes) {
    std::string shards;
    std::string slots;
    std::string keys;
    std::string values;
    if (node.role() == v1::ROLE_SERVER) {
      shards = std::to_string(node.shards());
      slots = std::to_string(node.slots());
      const auto server = report.servers.find(node.rank());
      if (server != report.servers.end() && server->second.ok()) {
        keys = std::to_string(server->second->keys());
        values = fmt::format("{:.1f} MB", static_cast<double>(server->second->value_bytes()) / 1e6);
      }
    }
    std::string health = HealthText(node.health());
    if (!node.connected() && node.health() == v1::HEALTH_ALIVE) health += ", not connected";
    table.AddRow({fmt::format("{} {}", RoleText(node.role()), node.rank()), node.address(), health,
                  DurationText(node.silent_ms()) + " ago", shards, slots, keys, values,
                  std::to_string(node.incarnation())});
  }
  return table.empty() ? "no nodes yet\n" : table.ToString();
}

std::string Barriers(const v1::ClusterStatus& cluster) {
  Table table({"BARRIER", "OPEN FOR", "ARRIVED", "WAITING FOR"});
  for (const v1::BarrierStatus& barrier : cluster.barriers()) {
    table.AddRow({std::to_string(barrier.generation()), DurationText(barrier.age_ms()),
                  WorkersText(cluster, barrier.arrived_ranks()),
                  WorkersText(cluster, barrier.missing_ranks())});
  }
  return table.empty() ? "" : "\n" + table.ToString();
}

std::string Rounds(const ClusterReport& report) {
  struct Row {
    uint64_t age_ms;
    std::vector<std::string> cells;
  };
  std::vector<Row> rows;
  uint64_t total = 0;
  std::string errors;
  for (const auto& [rank, status] : report.servers) {
    if (!status.ok()) {
      errors += fmt::format("server {}: {}\n", rank, std::string(status.status().message()));
      continue;
    }
    total += status->open_rounds_total();
    for (const v1::OpenRound& round : status->open_rounds()) {
      const std::string key = round.name().empty()
                                  ? fmt::format("{}", static_cast<int64_t>(round.key()))
                                  : round.name();
      rows.push_back({round.age_ms(),
                      {key, std::to_string(round.round()), std::to_string(round.parts()),
                       fmt::format("server {}", rank), DurationText(round.age_ms()),
                       WorkersText(report.cluster, round.missing_ranks())}});
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.age_ms > b.age_ms; });
  Table table({"KEY", "ROUND", "PARTS", "AT", "OPEN FOR", "WAITING FOR"});
  for (Row& row : rows) table.AddRow(std::move(row.cells));
  std::string text = table.empty() ? "\nno open rounds\n" : "\n" + table.ToString();
  if (total > rows.size()) {
    text += fmt::format("… and {} more open rounds\n", total - rows.size());
  }
  return text + (errors.empty() ? "" : "\n" + errors);
}

size_t CountAlive(const v1::ClusterStatus& cluster, v1::Role role) {
  return static_cast<size_t>(std::count_if(
      cluster.nodes().begin(), cluster.nodes().end(),
      [&](const auto& node) { return node.role() == role && node.health() == v1::HEALTH_ALIVE; }));
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails for messages that hold an Any only; ours do not.
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  return json;
}

std::string JsonString(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      json += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      json += c;
    }
  }
  return json + '"';
}

}  // namespace

std::string ReportAsTable(const ClusterReport& report) {
  const v1::ClusterStatus& cluster = report.cluster;
  std::string text = fmt::format(
      "cluster {:016x}: {}\n"
      "job {}{}, epoch {}, term {}; {} of {} workers and {} of {} servers alive\n\n",
      cluster.cluster(), cluster.state(), cluster.job(),
      cluster.store_type().empty() ? "" : " (" + cluster.store_type() + ")", cluster.epoch(),
      cluster.term(), CountAlive(cluster, v1::ROLE_WORKER), cluster.workers(),
      CountAlive(cluster, v1::ROLE_SERVER), cluster.servers());
  return text + Nodes(report) + Barriers(cluster) + Rounds(report);
}

std::string ReportAsJson(const ClusterReport& report) {
  std::string json = "{\"cluster\":" + ToJson(report.cluster) + ",\"servers\":[";
  const char* comma = "";
  for (const auto& [rank, status] : report.servers) {
    json += comma;
    comma = ",";
    json += status.ok() ? ToJson(*status)
                        : fmt::format("{{\"rank\":{},\"error\":{}}}", rank,
                                      JsonString(std::string(status.status().message())));
  }
  return json + "]}\n";
}

}  // namespace kvstore
