// What kvctl explain says, and the parts of kvctl status.
#include "cli/explain.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

void AddWorker(ClusterReport& report, uint32_t rank, v1::Health health, uint64_t silent_ms) {
  v1::NodeStatus* node = report.cluster.add_nodes();
  node->set_role(v1::ROLE_WORKER);
  node->set_rank(rank);
  node->set_address("host:" + std::to_string(100 + rank));
  node->set_health(health);
  node->set_connected(true);
  node->set_silent_ms(silent_ms);
}

void AddRound(v1::ServerStatus& server, uint64_t key, uint64_t round, uint64_t age_ms,
              const std::vector<uint32_t>& missing) {
  v1::OpenRound* open = server.add_open_rounds();
  open->set_key(key);
  open->set_round(round);
  open->set_parts(1);
  open->set_age_ms(age_ms);
  for (const uint32_t rank : missing) open->add_missing_ranks(rank);
  server.set_open_rounds_total(server.open_rounds_total() + 1);
}

// Worker 1 is stopped; keys 3 and 4 wait for it, key 5 for worker 2.
ClusterReport SomeReport() {
  ClusterReport report;
  report.cluster.set_state("running");
  report.cluster.set_job(1);
  report.cluster.set_workers(3);
  AddWorker(report, 0, v1::HEALTH_ALIVE, 30);
  AddWorker(report, 1, v1::HEALTH_SUSPECT, 2100);
  AddWorker(report, 2, v1::HEALTH_ALIVE, 50);
  v1::ServerStatus server;
  AddRound(server, 3, 41, 1700, {1});
  AddRound(server, 4, 41, 1500, {1, 2});
  AddRound(server, 5, 40, 10, {2});
  server.add_waited_for_ms(0);
  server.add_waited_for_ms(4200);
  server.add_waited_for_ms(0);
  report.servers.emplace(0, server);
  return report;
}

TEST_CASE("a key that waits says which round, where, since when, for whom and how they are",
          "[cli]") {
  const Explanation key = ExplainKey(SomeReport(), "4");
  CHECK(key.waits);
  CHECK(ExplanationAsText(key) ==
        "key 4\n"
        "  round 41 of key 4 at server 0, open for 1.5 s: waits for worker 1 (suspect), worker 2\n"
        "  worker 1 (host:101): suspect, last heard 2.1 s ago\n"
        "  worker 2 (host:102): alive, last heard 50 ms ago\n");
}

TEST_CASE("a key without an open round waits for nobody", "[cli]") {
  const Explanation key = ExplainKey(SomeReport(), "7");
  CHECK_FALSE(key.waits);
  CHECK(key.lines == std::vector<std::string>{"no round is open: it waits for nobody"});
}

TEST_CASE("a key is told what holds its round, and what is not known", "[cli]") {
  ClusterReport report = SomeReport();
  report.servers.at(0)->mutable_open_rounds(0)->set_held_from_step(7);
  report.servers.at(0)->mutable_open_rounds(0)->clear_missing_ranks();
  report.servers.at(0)->set_open_rounds_total(9);
  report.servers.emplace(1, absl::UnavailableError("h:1: no route"));
  report.cluster.set_state("failed: server 1 died");
  const std::string text = ExplanationAsText(ExplainKey(report, "3"));
  CHECK_THAT(text,
             Contains("open for 1.7 s: held by a change of the optimizer's numbers at step 7"));
  CHECK_THAT(text, Contains("job 1 is failed: server 1 died"));
  CHECK_THAT(text, Contains("server 1: h:1: no route: what is open there is not known"));
  CHECK_THAT(text, Contains("6 more open rounds, younger ones, are not told by the servers"));
}

TEST_CASE("a worker that others wait for hears of all that does", "[cli]") {
  ClusterReport report = SomeReport();
  v1::BarrierStatus* barrier = report.cluster.add_barriers();
  barrier->set_generation(2);
  barrier->set_age_ms(500);
  barrier->add_arrived_ranks(0);
  barrier->add_missing_ranks(1);
  barrier->add_missing_ranks(2);
  const auto worker = ExplainWorker(report, 1);
  REQUIRE(worker.ok());
  CHECK(worker->waits);
  CHECK(ExplanationAsText(*worker) ==
        "worker 1\n"
        "  worker 1 (host:101): suspect, last heard 2.1 s ago\n"
        "  barrier 2, open for 500 ms: waits for it\n"
        "  round 41 of key 3 at server 0, open for 1.7 s: waits for it\n"
        "  round 41 of key 4 at server 0, open for 1.5 s: waits for it\n"
        "  1 open rounds have what it brought, and wait for worker 2: it waits with them if it "
        "pulls what they make\n"
        "  so far rounds have waited 4.2 s for it as the last one\n");
  const auto arrived = ExplainWorker(report, 0);
  REQUIRE(arrived.ok());
  CHECK_THAT(ExplanationAsText(*arrived),
             Contains("barrier 2, open for 500 ms: it is there, and waits for worker 1 (suspect), "
                      "worker 2\n"));
}

TEST_CASE("of many rounds that wait for a worker the first ten are told", "[cli]") {
  ClusterReport report = SomeReport();
  for (uint64_t key = 10; key < 30; ++key) AddRound(*report.servers.at(0), key, 1, 5, {1});
  const auto worker = ExplainWorker(report, 1);
  REQUIRE(worker.ok());
  CHECK_THAT(ExplanationAsText(*worker), Contains("  ... and 12 more\n"));
}

TEST_CASE("a worker that nothing waits for, and one that is not there, are told so", "[cli]") {
  ClusterReport report;
  report.cluster.set_state("running");
  report.cluster.set_job(4);
  report.cluster.set_workers(2);
  AddWorker(report, 0, v1::HEALTH_ALIVE, 10);
  const auto idle = ExplainWorker(report, 0);
  REQUIRE(idle.ok());
  CHECK_FALSE(idle->waits);
  CHECK(idle->lines.back() == "nothing waits for it");
  const absl::Status none = ExplainWorker(report, 7).status();
  CHECK(none.code() == absl::StatusCode::kNotFound);
  CHECK(none.message() ==
        "a worker of job 4 expected, there is no worker 7 (1 of 2 workers are there)");
}

TEST_CASE("an explanation is an object of JSON, whatever is in a name", "[cli]") {
  const Explanation odd{"key \"\xff\"", true, {"a\nb"}};
  const auto json = nlohmann::json::parse(ExplanationAsJson(odd));
  CHECK(json.at("waits") == true);
  CHECK(json.at("lines") == std::vector<std::string>{"a\nb"});
}

TEST_CASE("rounds, barriers and nodes are what they are in the whole status", "[cli]") {
  ClusterReport report = SomeReport();
  const auto whole = nlohmann::json::parse(ReportAsJson(report));
  const auto rounds = nlohmann::json::parse(RoundsAsJson(report));
  CHECK(rounds.at("open_rounds") == whole.at("open_rounds"));
  CHECK(rounds.at("open_rounds_total") == 3);
  CHECK(nlohmann::json::parse(NodesAsJson(report)).at("nodes") == whole.at("nodes"));
  CHECK(nlohmann::json::parse(BarriersAsJson(report)).at("barriers").empty());
  CHECK(BarriersAsTable(report) == "no open barriers\n");
  CHECK_THAT(ReportAsTable(report), Contains("\n" + RoundsAsTable(report)));
  CHECK_THAT(ReportAsTable(report), Contains(NodesAsTable(report)));
  report.cluster.add_barriers()->set_generation(2);
  CHECK_THAT(ReportAsTable(report), Contains("\n" + BarriersAsTable(report)));
}

}  // namespace
}  // namespace kvstore
