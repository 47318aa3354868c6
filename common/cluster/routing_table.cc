// The routing table on the wire and back, and how slots are spread.
#include "common/cluster/routing_table.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/check.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

namespace {

std::string NameOf(std::string_view role, uint32_t rank, const std::string& label) {
  return label.empty() ? fmt::format("{} {}", role, rank)
                       : fmt::format("{} {} ({})", role, rank, label);
}

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError("routing table: " +
                                    fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace

void RoutingTable::SpreadSlots() {
  KVS_CHECK(!servers.empty());
  const auto count = static_cast<uint32_t>(servers.size());
  slot_owner.resize(kSlotCount);
  for (SlotIndex slot = 0; slot < kSlotCount; ++slot) {
    const ServerRank server = slot % count;
    slot_owner[slot] = {server, slot / count % servers[server].shards};
  }
}

std::string RoutingTable::WorkerName(WorkerRank rank) const {
  return NameOf("worker", rank, rank < workers.size() ? workers[rank].label : "");
}

std::string RoutingTable::ServerName(ServerRank rank) const {
  return NameOf("server", rank, rank < servers.size() ? servers[rank].address : "");
}

absl::StatusOr<RoutingTable> RoutingTable::FromProto(const v1::Routing& proto) {
  RoutingTable table;
  table.epoch = proto.epoch();
  table.job = proto.job();
  table.store_type = proto.store_type();
  if (table.epoch == 0) return Invalid("epoch 0; expected at least 1");
  if (table.job == 0) return Invalid("job 0; expected at least 1");
  if (proto.servers().empty()) return Invalid("no server; expected at least 1");
  if (proto.workers().empty()) return Invalid("no worker; expected at least 1");
  for (const v1::ServerRoute& server : proto.servers()) {
    // Sorted by rank without gaps: what a vector by rank needs.
    if (server.rank() != table.servers.size()) {
      return Invalid("server rank {} at place {}", server.rank(), table.servers.size());
    }
    if (server.address().empty() || server.shards() == 0 || server.incarnation() == 0) {
      return Invalid("server {}: address '{}', {} shards, incarnation {}; none may be missing",
                     server.rank(), server.address(), server.shards(), server.incarnation());
    }
    table.servers.push_back({server.address(), server.incarnation(), server.shards()});
  }
  for (const v1::WorkerEntry& worker : proto.workers()) {
    if (worker.rank() != table.workers.size()) {
      return Invalid("worker rank {} at place {}", worker.rank(), table.workers.size());
    }
    if (worker.incarnation() == 0) return Invalid("worker {}: incarnation 0", worker.rank());
    table.workers.push_back({worker.incarnation(), worker.label()});
  }
  if (proto.slot_server_size() != int{kSlotCount} || proto.slot_shard_size() != int{kSlotCount}) {
    return Invalid("{} slots expected, got owners of {} and shards of {}", kSlotCount,
                   proto.slot_server_size(), proto.slot_shard_size());
  }
  table.slot_owner.reserve(kSlotCount);
  for (int slot = 0; slot < int{kSlotCount}; ++slot) {
    const ShardAddress owner{proto.slot_server(slot), proto.slot_shard(slot)};
    if (owner.server >= table.servers.size()) {
      return Invalid("slot {}: server {} of {}", slot, owner.server, table.servers.size());
    }
    if (owner.shard >= table.servers[owner.server].shards) {
      return Invalid("slot {}: shard {} of {}", slot, owner.shard,
                     table.servers[owner.server].shards);
    }
    table.slot_owner.push_back(owner);
  }
  return table;
}

void RoutingTable::ToProto(v1::Routing* proto) const {
  proto->Clear();
  proto->set_epoch(epoch);
  proto->set_job(job);
  proto->set_store_type(store_type);
  for (size_t rank = 0; rank < servers.size(); ++rank) {
    v1::ServerRoute* server = proto->add_servers();
    server->set_rank(static_cast<uint32_t>(rank));
    server->set_address(servers[rank].address);
    server->set_incarnation(servers[rank].incarnation);
    server->set_shards(servers[rank].shards);
  }
  for (const ShardAddress& owner : slot_owner) {
    proto->add_slot_server(owner.server);
    proto->add_slot_shard(owner.shard);
  }
  for (size_t rank = 0; rank < workers.size(); ++rank) {
    v1::WorkerEntry* worker = proto->add_workers();
    worker->set_rank(static_cast<uint32_t>(rank));
    worker->set_incarnation(workers[rank].incarnation);
    worker->set_label(workers[rank].label);
  }
}

}  // namespace kvstore
