// Who owns which slot, and tables from the wire that are not whole.
#include "common/cluster/routing_table.h"

#include <catch2/catch.hpp>
#include <functional>
#include <map>

#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {
namespace {

RoutingTable MakeTable(uint32_t servers, uint32_t shards) {
  RoutingTable table;
  table.epoch = 3;
  table.job = 2;
  table.store_type = "dist_sync";
  for (uint32_t s = 0; s < servers; ++s) {
    table.servers.push_back({"127.0.0.1:" + std::to_string(9000 + s), 10 + s, shards});
  }
  table.workers = {{20, "a:1"}, {21, "b:2"}};
  table.SpreadSlots();
  return table;
}

TEST_CASE("slots are spread evenly over servers and over the shards of each",
          "[cluster][routing]") {
  const uint32_t servers = GENERATE(1u, 2u, 3u, 5u, 7u);
  const uint32_t shards = GENERATE(1u, 2u, 3u, 8u);
  CAPTURE(servers, shards);
  const RoutingTable table = MakeTable(servers, shards);
  std::map<ShardAddress, int> count;
  for (const ShardAddress& owner : table.slot_owner) ++count[owner];
  REQUIRE(count.size() == servers * shards);
  for (const auto& [owner, slots] : count) {
    CHECK(slots >= int(kSlotCount / (servers * shards)) - 1);
    CHECK(slots <= int(kSlotCount / (servers * shards)) + 1);
  }
  // Neighbours live on different servers, so a large value spreads.
  for (SlotIndex slot = 1; slot < kSlotCount && servers > 1; ++slot) {
    CHECK(table.slot_owner[slot].server != table.slot_owner[slot - 1].server);
  }
}

TEST_CASE("a table survives the wire", "[cluster][routing]") {
  const RoutingTable table = MakeTable(3, 2);
  v1::Routing proto;
  table.ToProto(&proto);
  const auto copy = RoutingTable::FromProto(proto);
  REQUIRE(copy.ok());
  CHECK(copy->epoch == 3);
  CHECK(copy->job == 2);
  CHECK(copy->store_type == "dist_sync");
  CHECK(copy->slot_owner == table.slot_owner);
  REQUIRE(copy->servers.size() == 3);
  CHECK(copy->servers[2].address == "127.0.0.1:9002");
  CHECK(copy->servers[2].incarnation == 12);
  CHECK(copy->servers[2].shards == 2);
  CHECK(copy->workers[1].incarnation == 21);
  CHECK(copy->WorkerName(1) == "worker 1 (b:2)");
  CHECK(copy->WorkerName(9) == "worker 9");
  CHECK(copy->ServerName(0) == "server 0 (127.0.0.1:9000)");
}

TEST_CASE("a table that is not whole is refused with the reason", "[cluster][routing]") {
  struct Case {
    std::string message;
    std::function<void(v1::Routing*)> change;
  };
  const Case c = GENERATE(values<Case>({
      {"epoch 0", [](auto* p) { p->set_epoch(0); }},
      {"job 0", [](auto* p) { p->set_job(0); }},
      {"no server", [](auto* p) { p->clear_servers(); }},
      {"no worker", [](auto* p) { p->clear_workers(); }},
      {"server rank 7 at place 1", [](auto* p) { p->mutable_servers(1)->set_rank(7); }},
      {"server rank 0 at place 1", [](auto* p) { p->mutable_servers(1)->set_rank(0); }},
      {"worker rank 5 at place 0", [](auto* p) { p->mutable_workers(0)->set_rank(5); }},
      {"0 shards", [](auto* p) { p->mutable_servers(0)->set_shards(0); }},
      {"address ''", [](auto* p) { p->mutable_servers(0)->clear_address(); }},
      {"incarnation 0", [](auto* p) { p->mutable_servers(0)->set_incarnation(0); }},
      {"worker 1: incarnation 0", [](auto* p) { p->mutable_workers(1)->set_incarnation(0); }},
      {"owners of 1023", [](auto* p) { p->mutable_slot_server()->RemoveLast(); }},
      {"shards of 1025", [](auto* p) { p->add_slot_shard(0); }},
      {"slot 4: server 2 of 2", [](auto* p) { p->set_slot_server(4, 2); }},
      {"slot 5: shard 4000000000 of 2", [](auto* p) { p->set_slot_shard(5, 4000000000u); }},
  }));
  CAPTURE(c.message);
  v1::Routing proto;
  MakeTable(2, 2).ToProto(&proto);
  REQUIRE(RoutingTable::FromProto(proto).ok());
  c.change(&proto);
  const absl::Status status = RoutingTable::FromProto(proto).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), Catch::Contains(c.message));
}

}  // namespace
}  // namespace kvstore
