#include "cli/cluster_report.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

void AddNode(ClusterReport& report, v1::Role role, uint32_t rank, v1::Health health) {
  v1::NodeStatus* node = report.cluster.add_nodes();
  node->set_role(role);
  node->set_rank(rank);
  node->set_address(role == v1::ROLE_SERVER ? "[::1]:7070" : "host:123");
  node->set_health(health);
  node->set_connected(true);
  node->set_incarnation(5 + rank);
  node->set_silent_ms(4100);
  if (role == v1::ROLE_SERVER) {
    node->set_shards(2);
    node->set_slots(512);
  }
}

// Two workers, of which the second is silent, and two servers, of which the second does not answer.
ClusterReport SomeReport() {
  ClusterReport report;
  report.cluster.set_cluster(0xabc);
  report.cluster.set_state("running");
  report.cluster.set_store_type("dist_sync");
  report.cluster.set_job(1);
  report.cluster.set_epoch(3);
  report.cluster.set_term(2);
  report.cluster.set_workers(2);
  report.cluster.set_servers(2);
  AddNode(report, v1::ROLE_WORKER, 1, v1::HEALTH_SUSPECT);
  AddNode(report, v1::ROLE_WORKER, 0, v1::HEALTH_ALIVE);
  AddNode(report, v1::ROLE_SERVER, 0, v1::HEALTH_ALIVE);
  AddNode(report, v1::ROLE_SERVER, 1, v1::HEALTH_ALIVE);
  v1::ServerStatus server;
  server.set_rank(0);
  server.set_keys(4);
  server.set_value_bytes(2500000);
  server.set_held_bytes(1250000);
  server.set_resident_bytes(3000000);
  server.set_payload_bytes_moved(7000);
  server.set_payload_bytes_copied(5000);
  server.set_streams(6);
  server.set_streams_in_memory(2);
  server.set_updater_plugin("lion");
  server.add_waited_for_ms(0);
  server.add_waited_for_ms(4200);
  v1::OpenRound* round = server.add_open_rounds();
  round->set_name("young");
  round->set_round(18);
  round->set_parts(1);
  round->set_age_ms(10);
  round->add_missing_ranks(0);
  round = server.add_open_rounds();
  round->set_key(static_cast<uint64_t>(-7));  // an int key has no name
  round->set_round(17);
  round->set_parts(3);
  round->set_age_ms(3200);
  round->add_missing_ranks(0);
  round->add_missing_ranks(1);
  server.set_open_rounds_total(5);
  report.servers.emplace(0, server);
  report.servers.emplace(1, absl::UnavailableError("[::1]:7070: no \"answer\""));
  return report;
}

TEST_CASE("readers are listed last, and have no rank", "[cli]") {
  ClusterReport report = SomeReport();
  AddNode(report, v1::ROLE_READER, UINT32_MAX, v1::HEALTH_ALIVE);
  const std::string table = ReportAsTable(report);
  CHECK_THAT(table, Contains("1 of 2 workers and 2 of 2 servers alive, 1 reader\n"));
  CHECK_THAT(table, Contains("\nreader "));
  CHECK(table.find("\nreader ") > table.find("\nworker 1 "));
  CHECK_THAT(ReportAsJson(report), Contains(R"("node":"reader","role":"reader","incarnation":)"));
  AddNode(report, v1::ROLE_READER, UINT32_MAX, v1::HEALTH_ALIVE);
  CHECK_THAT(ReportAsTable(report), Contains("servers alive, 2 readers\n"));
}

TEST_CASE("what keeps a job from starting is said", "[cli]") {
  ClusterReport report;
  report.cluster.add_obstacles("worker 1 (host:5) cannot reach server 0 at h:1 (no route)");
  CHECK_THAT(ReportAsTable(report),
             Contains("\nworker 1 (host:5) cannot reach server 0 at h:1 (no route)\n"));
  CHECK_THAT(
      ReportAsJson(report),
      Contains("\"obstacles\":[\"worker 1 (host:5) cannot reach server 0 at h:1 (no route)\"]"));
}

TEST_CASE("the table says who is waited for and since when, the oldest round first", "[cli]") {
  const std::string text = ReportAsTable(SomeReport());
  CAPTURE(text);
  CHECK_THAT(text, Contains("cluster 0000000000000abc: running"));
  CHECK_THAT(text, Contains("job 1 (dist_sync), epoch 3, term 2; 1 of 2 workers and 2 of 2 "
                            "servers alive"));
  CHECK_THAT(text,
             Contains("-7     17     3      server 0  3.2 s     worker 0, worker 1 (suspect)"));
  CHECK_THAT(text, Contains("young  18     1      server 0  10 ms     worker 0\n"));
  CHECK(text.find("-7 ") < text.find("young"));
  CHECK_THAT(text, Contains("and 3 more open rounds"));
}

TEST_CASE("a round that is held says what holds it", "[cli]") {
  ClusterReport report = SomeReport();
  report.servers.at(0)->mutable_open_rounds(0)->set_held_from_step(7);
  report.servers.at(0)->mutable_open_rounds(0)->clear_missing_ranks();
  CHECK_THAT(ReportAsTable(report),
             Contains("10 ms     held by a change of the optimizer's numbers at step 7\n"));
  CHECK_THAT(ReportAsJson(report), Contains("\"missing\":[],\"held_from_step\":7}"));
}

TEST_CASE("the table lists servers, then workers, by rank", "[cli]") {
  const std::string text = ReportAsTable(SomeReport());
  CAPTURE(text);
  CHECK_THAT(text,
             Contains("server 0  [::1]:7070  alive    4.1 s ago   2       512    4     2.5 MB"));
  CHECK_THAT(text, Contains("worker 1  host:123    suspect  4.1 s ago"));
  CHECK(text.find("server 0 ") < text.find("server 1 "));
  CHECK(text.find("server 1 ") < text.find("worker 0 "));
  CHECK(text.find("worker 0 ") < text.find("worker 1 "));
}

TEST_CASE("a server's plugin is named", "[cli]") {
  CHECK_THAT(ReportAsTable(SomeReport()), Contains("\nserver 0: updater plugin lion\n"));
}

TEST_CASE("a server that does not answer is named", "[cli]") {
  CHECK_THAT(ReportAsTable(SomeReport()), Contains("server 1: [::1]:7070: no \"answer\""));
}

TEST_CASE("open barriers name who arrived and who is missing", "[cli]") {
  ClusterReport report = SomeReport();
  CHECK_THAT(ReportAsTable(report), !Contains("BARRIER"));
  v1::BarrierStatus* barrier = report.cluster.add_barriers();
  barrier->set_generation(4);
  barrier->set_age_ms(61000);
  barrier->add_arrived_ranks(0);
  barrier->add_missing_ranks(1);
  CHECK_THAT(ReportAsTable(report), Contains("4        1 min 1 s  worker 0  worker 1 (suspect)"));
}

TEST_CASE("a cluster without nodes and rounds says so", "[cli]") {
  const std::string text = ReportAsTable(ClusterReport{});
  CHECK_THAT(text, Contains("no nodes yet"));
  CHECK_THAT(text, Contains("no open rounds"));
}

google::protobuf::Struct Parse(const std::string& json) {
  google::protobuf::Struct parsed;
  CAPTURE(json);
  REQUIRE(google::protobuf::util::JsonStringToMessage(json, &parsed).ok());
  return parsed;
}

TEST_CASE("the JSON says what the table says", "[cli]") {
  ClusterReport report = SomeReport();
  v1::BarrierStatus* barrier = report.cluster.add_barriers();
  barrier->set_generation(4);
  barrier->add_missing_ranks(1);
  const google::protobuf::Struct parsed = Parse(ReportAsJson(report));
  const auto& cluster = parsed.fields();
  CHECK(cluster.at("cluster").string_value() == "0000000000000abc");
  CHECK(cluster.at("state").string_value() == "running");
  CHECK(cluster.at("epoch").number_value() == 3);

  const auto& nodes = cluster.at("nodes").list_value();
  REQUIRE(nodes.values_size() == 4);
  const auto& server = nodes.values(0).struct_value().fields();
  CHECK(server.at("node").string_value() == "server 0");
  CHECK(server.at("slots").number_value() == 512);
  CHECK(server.at("value_bytes").number_value() == 2500000);
  CHECK(server.at("parked_bytes").number_value() == 0);
  CHECK(server.at("held_bytes").number_value() == 1250000);
  CHECK(server.at("resident_bytes").number_value() == 3000000);
  CHECK(server.at("payload_bytes_moved").number_value() == 7000);
  CHECK(server.at("payload_bytes_copied").number_value() == 5000);
  CHECK(server.at("streams").number_value() == 6);
  CHECK(server.at("streams_in_memory").number_value() == 2);
  CHECK(server.at("updater_plugin").string_value() == "lion");
  const auto& silent_server = nodes.values(1).struct_value().fields();
  CHECK(silent_server.count("keys") == 0);  // it did not answer
  const auto& worker = nodes.values(3).struct_value().fields();
  CHECK(worker.at("health").string_value() == "suspect");
  CHECK(worker.at("waited_for_ms").number_value() == 4200);
  CHECK(worker.at("connected").bool_value());
  CHECK(worker.at("silent_ms").number_value() == 4100);

  const auto& open = cluster.at("barriers").list_value().values(0).struct_value().fields();
  CHECK(open.at("arrived").list_value().values_size() == 0);
  CHECK(open.at("missing").list_value().values(0).string_value() == "worker 1");

  const auto& rounds = cluster.at("open_rounds").list_value();
  REQUIRE(rounds.values_size() == 2);
  const auto& oldest = rounds.values(0).struct_value().fields();
  CHECK(oldest.at("key").string_value() == "-7");
  CHECK(oldest.at("server").string_value() == "server 0");
  CHECK(oldest.at("age_ms").number_value() == 3200);
  CHECK(oldest.at("missing").list_value().values(1).string_value() == "worker 1");
  CHECK(cluster.at("open_rounds_total").number_value() == 5);

  const auto& errors = cluster.at("errors").list_value();
  REQUIRE(errors.values_size() == 1);
  CHECK(errors.values(0).string_value() == "server 1: [::1]:7070: no \"answer\"");
}

TEST_CASE("the JSON of an empty cluster has every list", "[cli]") {
  const google::protobuf::Struct parsed = Parse(ReportAsJson(ClusterReport{}));
  for (const char* list : {"nodes", "barriers", "open_rounds", "errors"}) {
    CAPTURE(list);
    CHECK(parsed.fields().at(list).list_value().values_size() == 0);
    CHECK(parsed.fields().at(list).has_list_value());
  }
}

}  // namespace
}  // namespace kvstore
