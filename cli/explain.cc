#include "cli/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/status/status.h"
#include "cli/cluster_words.h"
#include "cli/printer.h"

namespace kvstore {
namespace {

using google::protobuf::RepeatedField;

// More of them say nothing new.
constexpr size_t kRoundsTold = 10;

bool Has(const RepeatedField<uint32_t>& ranks, uint32_t rank) {
  return std::find(ranks.begin(), ranks.end(), rank) != ranks.end();
}

const v1::NodeStatus* WorkerOf(const v1::ClusterStatus& cluster, uint32_t rank) {
  for (const v1::NodeStatus& node : cluster.nodes()) {
    if (node.role() == v1::ROLE_WORKER && node.rank() == rank) return &node;
  }
  return nullptr;
}

// "worker 1 (host:9125): suspect, last heard 2.1 s ago".
std::string StateOf(const v1::NodeStatus& node) {
  return fmt::format("{} ({}): {}, {}last heard {} ago", NodeName(node), node.address(),
                     HealthText(node.health()), node.connected() ? "" : "not connected, ",
                     DurationText(node.silent_ms()));
}

std::string RoundText(const Rounds::Row& row) {
  return fmt::format("round {} of key {} at server {}, open for {}", row.round.round(), row.key,
                     row.server, DurationText(row.round.age_ms()));
}

// What keeps all jobs from going on, and what is not known because a server did not answer.
void AddTroubles(const ClusterReport& report, const Rounds& rounds,
                 std::vector<std::string>* lines) {
  if (report.cluster.state() != "running") {
    lines->push_back(fmt::format("job {} is {}", report.cluster.job(), report.cluster.state()));
  }
  for (const std::string& obstacle : report.cluster.obstacles()) lines->push_back(obstacle);
  for (const std::string& error : rounds.errors) {
    lines->push_back(error + ": what is open there is not known");
  }
  if (rounds.total > rounds.rows.size()) {
    lines->push_back(fmt::format("{} more open rounds, younger ones, are not told by the servers",
                                 rounds.total - rounds.rows.size()));
  }
}

void AddFirst(const std::vector<std::string>& all, std::vector<std::string>* lines) {
  const size_t told = std::min(all.size(), kRoundsTold);
  lines->insert(lines->end(), all.begin(), all.begin() + static_cast<ptrdiff_t>(told));
  if (all.size() > told) lines->push_back(fmt::format("... and {} more", all.size() - told));
}

}  // namespace

Explanation ExplainKey(const ClusterReport& report, const std::string& key) {
  Explanation explanation{fmt::format("key {}", key), false, {}};
  const Rounds rounds = OpenRounds(report);
  std::set<uint32_t> missing;
  std::vector<std::string> open;
  for (const Rounds::Row& row : rounds.rows) {
    if (row.key != key) continue;
    open.push_back(fmt::format("{}: {}{}", RoundText(row),
                               row.round.held_from_step() == 0 ? "waits for " : "",
                               WaitingText(report.cluster, row.round)));
    missing.insert(row.round.missing_ranks().begin(), row.round.missing_ranks().end());
  }
  explanation.waits = !open.empty();
  if (open.empty()) explanation.lines.emplace_back("no round is open: it waits for nobody");
  AddFirst(open, &explanation.lines);
  for (const uint32_t rank : missing) {
    const v1::NodeStatus* const worker = WorkerOf(report.cluster, rank);
    explanation.lines.push_back(worker != nullptr ? StateOf(*worker)
                                                  : fmt::format("worker {}: not there", rank));
  }
  AddTroubles(report, rounds, &explanation.lines);
  return explanation;
}

absl::StatusOr<Explanation> ExplainWorker(const ClusterReport& report, uint32_t rank) {
  const v1::ClusterStatus& cluster = report.cluster;
  const v1::NodeStatus* const worker = WorkerOf(cluster, rank);
  if (worker == nullptr) {
    return absl::NotFoundError(fmt::format(
        "a worker of job {} expected, there is no worker {} ({} of {} workers are there)",
        cluster.job(), rank,
        std::count_if(cluster.nodes().begin(), cluster.nodes().end(),
                      [](const auto& node) { return node.role() == v1::ROLE_WORKER; }),
        cluster.workers()));
  }
  Explanation explanation{fmt::format("worker {}", rank), false, {StateOf(*worker)}};
  const Rounds rounds = OpenRounds(report);
  std::vector<std::string> of_it;     // what waits for it
  RepeatedField<uint32_t> of_others;  // who is missing where it is not
  size_t rounds_of_others = 0;
  for (const Rounds::Row& row : rounds.rows) {
    if (Has(row.round.missing_ranks(), rank)) {
      of_it.push_back(RoundText(row) + ": waits for it");
    } else {
      ++rounds_of_others;
      for (const uint32_t other : row.round.missing_ranks()) {
        if (!Has(of_others, other)) of_others.Add(other);
      }
    }
  }
  for (const v1::BarrierStatus& barrier : cluster.barriers()) {
    const std::string text = fmt::format("barrier {}, open for {}", barrier.generation(),
                                         DurationText(barrier.age_ms()));
    explanation.waits = true;
    explanation.lines.push_back(Has(barrier.missing_ranks(), rank)
                                    ? text + ": waits for it"
                                    : fmt::format("{}: it is there, and waits for {}", text,
                                                  WorkersText(cluster, barrier.missing_ranks())));
  }
  explanation.waits |= !of_it.empty() || !of_others.empty();
  AddFirst(of_it, &explanation.lines);
  if (!of_others.empty()) {
    std::sort(of_others.begin(), of_others.end());
    explanation.lines.push_back(
        fmt::format("{} open rounds have what it brought, and wait for {}: it waits with them if "
                    "it pulls what they make",
                    rounds_of_others, WorkersText(cluster, of_others)));
  }
  if (!explanation.waits) explanation.lines.emplace_back("nothing waits for it");
  if (const std::optional<uint64_t> ms = WaitedFor(report, rank); ms.value_or(0) > 0) {
    explanation.lines.push_back(
        fmt::format("so far rounds have waited {} for it as the last one", DurationText(*ms)));
  }
  AddTroubles(report, rounds, &explanation.lines);
  return explanation;
}

std::string ExplanationAsText(const Explanation& explanation) {
  std::string text = explanation.subject + "\n";
  for (const std::string& line : explanation.lines) text += "  " + line + "\n";
  return text;
}

std::string ExplanationAsJson(const Explanation& explanation) {
  const nlohmann::ordered_json json{
      {"subject", explanation.subject}, {"waits", explanation.waits}, {"lines", explanation.lines}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace kvstore
