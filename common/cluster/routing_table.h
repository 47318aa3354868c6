// Which shard of which server owns a slot, and whose contributions a round needs. Immutable: a
// change is a new table with a higher epoch. Made by the scheduler alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/cluster/identity.h"
#include "common/cluster/partitioner.h"

namespace kvstore {

namespace v1 {
class Routing;
}

struct ServerRoute {
  std::string address;  // HOST:PORT
  Incarnation incarnation = 0;
  uint32_t shards = 1;
};

struct WorkerEntry {
  Incarnation incarnation = 0;
  std::string label;  // host:pid
};

struct RoutingTable {
  Epoch epoch = 0;
  JobId job = 0;
  std::string store_type;
  std::vector<ServerRoute> servers;      // by rank
  std::vector<ShardAddress> slot_owner;  // kSlotCount entries
  std::vector<WorkerEntry> workers;      // by rank; the view

  ShardAddress OwnerOf(PartId id) const { return slot_owner[SlotOf(id)]; }

  // Slot i belongs to server i mod S, and there to shard (i div S) mod E.
  void SpreadSlots();

  // "worker 3 (host:pid)".
  std::string WorkerName(WorkerRank rank) const;
  std::string ServerName(ServerRank rank) const;  // "server 1 (host:port)"

  // Errors: INVALID_ARGUMENT for a table that is not whole (slots without an owner, …).
  static absl::StatusOr<RoutingTable> FromProto(const v1::Routing& proto);
  void ToProto(v1::Routing* proto) const;
};

using RoutingPtr = std::shared_ptr<const RoutingTable>;

}  // namespace kvstore
