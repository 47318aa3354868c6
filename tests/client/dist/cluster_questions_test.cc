// What a worker says about its cluster.
#include "client/dist/cluster_questions.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

v1::NodeStatus* AddNode(v1::ClusterStatus* status, v1::Role role, uint32_t rank, v1::Health health,
                        uint64_t silent_ms = 0) {
  v1::NodeStatus* node = status->add_nodes();
  node->set_role(role);
  node->set_rank(rank);
  node->set_health(health);
  node->set_silent_ms(silent_ms);
  return node;
}

// Two workers, two servers; the second of each is dead, and the first worker silent for 3 s.
v1::ClusterStatus HalfDead() {
  v1::ClusterStatus status;
  status.set_workers(2);
  status.set_servers(3);
  AddNode(&status, v1::ROLE_WORKER, 0, v1::HEALTH_ALIVE, 3000);
  AddNode(&status, v1::ROLE_WORKER, 1, v1::HEALTH_DEAD);
  AddNode(&status, v1::ROLE_SERVER, 0, v1::HEALTH_SUSPECT);
  AddNode(&status, v1::ROLE_SERVER, 1, v1::HEALTH_DEAD);
  return status;
}

RoutingTable TwoServers() {
  RoutingTable table;
  table.servers = {{"h:1", 50, 1}, {"h:2", 51, 1}};
  table.workers = {{8, "a:1"}, {9, "b:2"}};
  table.SpreadSlots();
  return table;
}

WaitInfo Wait(ServerRank server, bool connected, std::vector<WorkerRank> missing) {
  WaitInfo info;
  info.shard = {server, 0};
  info.connected = connected;
  info.answered = true;
  info.missing = std::move(missing);
  return info;
}

}  // namespace

TEST_CASE("who is there are those that live, or may", "[dist]") {
  CHECK(WhoIsThere(HalfDead()) == "1 of 2 workers and 1 of 3 servers are there");
  CHECK(WhoIsThere(v1::ClusterStatus()) == "0 of 0 workers and 0 of 0 servers are there");
  v1::ClusterStatus forming;
  forming.add_obstacles("worker 1 (host:5) cannot reach server 0 at h:1 (no route)");
  CHECK(WhoIsThere(forming) ==
        "0 of 0 workers and 0 of 0 servers are there; "
        "worker 1 (host:5) cannot reach server 0 at h:1 (no route)");
}

TEST_CASE("dead nodes are counted by group and by node", "[dist]") {
  const v1::ClusterStatus status = HalfDead();
  CHECK(CountDead(status, 1, -1) == 0);
  CHECK(CountDead(status, 2, -1) == 1);
  CHECK(CountDead(status, 4, -1) == 1);
  CHECK(CountDead(status, 7, -1) == 2);
  CHECK(CountDead(status, 8, -1) == 0);   // server 0
  CHECK(CountDead(status, 10, -1) == 1);  // server 1
  CHECK(CountDead(status, 9, -1) == 0);   // worker 0
  CHECK(CountDead(status, 11, -1) == 1);  // worker 1
}

TEST_CASE("a node that is silent for as long as was asked counts as dead", "[dist]") {
  CHECK(CountDead(HalfDead(), 9, 4) == 0);
  CHECK(CountDead(HalfDead(), 9, 3) == 1);
  CHECK(CountDead(HalfDead(), 9, -1) == 0);
}

TEST_CASE("a node that left is not dead, however silent", "[dist]") {
  v1::ClusterStatus status;
  AddNode(&status, v1::ROLE_WORKER, 0, v1::HEALTH_LEFT, 1000000);
  CHECK(CountDead(status, 4, 0) == 0);
}

TEST_CASE("a node id below 1 is no node", "[dist]") {
  CHECK(CheckNodeId(1).ok());
  CHECK(CheckNodeId(0).code() == absl::StatusCode::kInvalidArgument);
  CHECK(CheckNodeId(-3).message() ==
        "a node id or a sum of node groups (1 or more) expected, got -3");
}

TEST_CASE("the missing workers explain a wait before the servers do", "[dist]") {
  const RoutingTable table = TwoServers();
  CHECK(WaitedFor(table, {Wait(0, true, {1}), Wait(1, true, {}), Wait(0, true, {0, 1})}) ==
        "worker 0 (a:1), worker 1 (b:2)");
}

TEST_CASE("a server that is not reachable is named beside the workers", "[dist]") {
  CHECK(WaitedFor(TwoServers(), {Wait(0, true, {1}), Wait(1, false, {})}) ==
        "worker 1 (b:2), server 1 (h:2), which is not reachable");
}

TEST_CASE("a server that puts requests off is named with its reason, once", "[dist]") {
  WaitInfo put_off = Wait(1, true, {});
  put_off.put_off = absl::StatusCode::kResourceExhausted;
  CHECK(WaitedFor(TwoServers(), {put_off, Wait(0, true, {1}), Wait(0, true, {}), put_off}) ==
        "worker 1 (b:2), server 1 (h:2), which puts requests off: RESOURCE_EXHAUSTED");
}

TEST_CASE("a server that holds a round is named with what holds it", "[dist]") {
  WaitInfo held = Wait(1, true, {});
  held.held = "held by a change of the optimizer's numbers at step 7";
  CHECK(WaitedFor(TwoServers(), {held, Wait(0, true, {}), held}) ==
        "server 1 (h:2), where it is held by a change of the optimizer's numbers at step 7");
}

TEST_CASE("a server is late where nobody is missing", "[dist]") {
  CHECK(WaitedFor(TwoServers(), {Wait(1, true, {}), Wait(1, true, {})}) == "server 1 (h:2)");
}

TEST_CASE("where no request is open this process is what is waited for", "[dist]") {
  CHECK(WaitedFor(TwoServers(), {}) == "this process: no request to a server is open");
}

}  // namespace kvstore
