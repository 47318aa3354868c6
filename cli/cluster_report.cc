#include "cli/cluster_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "cli/cluster_words.h"
#include "cli/printer.h"
#include "common/base/json_writer.h"

namespace kvstore {
namespace {

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

void WriteNodes(JsonWriter& json, const ClusterReport& report) {
  json.Key("nodes").BeginArray();
  for (const v1::NodeStatus& node : SortedNodes(report.cluster)) WriteNode(json, report, node);
  json.End();
}

void WriteBarriers(JsonWriter& json, const v1::ClusterStatus& cluster) {
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
}

void WriteRounds(JsonWriter& json, const ClusterReport& report) {
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
  json.End();
}

// One object of what `write` writes.
template <typename Write>
std::string JsonOf(const Write& write) {
  JsonWriter json;
  json.BeginObject();
  write(json);
  json.End();
  return json.text() + "\n";
}

}  // namespace

std::string NodesAsTable(const ClusterReport& report) { return NodesTable(report); }

std::string RoundsAsTable(const ClusterReport& report) { return RoundsTable(report).substr(1); }

std::string BarriersAsTable(const ClusterReport& report) {
  const std::string table = BarriersTable(report.cluster);
  return table.empty() ? "no open barriers\n" : table.substr(1);
}

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

std::string NodesAsJson(const ClusterReport& report) {
  return JsonOf([&](JsonWriter& json) { WriteNodes(json, report); });
}

std::string RoundsAsJson(const ClusterReport& report) {
  return JsonOf([&](JsonWriter& json) { WriteRounds(json, report); });
}

std::string BarriersAsJson(const ClusterReport& report) {
  return JsonOf([&](JsonWriter& json) { WriteBarriers(json, report.cluster); });
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

  WriteNodes(json, report);

  json.Key("obstacles").BeginArray();
  for (const std::string& obstacle : cluster.obstacles()) json.Value(obstacle);
  json.End();

  WriteBarriers(json, cluster);
  WriteRounds(json, report);
  json.End();
  return json.text() + "\n";
}

}  // namespace kvstore
