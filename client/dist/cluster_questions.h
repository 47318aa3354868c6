// What a worker says about its cluster, in words and numbers: made of what the scheduler and the
// servers told. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/core/client_core.h"
#include "common/cluster/routing_table.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

// "1 of 2 workers and 0 of 1 servers are there", and what keeps the job from starting.
std::string WhoIsThere(const v1::ClusterStatus& status);

// KVStore::get_num_dead_node: how many of the nodes that `node_id` names are dead, or silent for
// `timeout_s` seconds (negative: silence does not count). `node_id` is a sum of groups (scheduler
// 1, servers 2, workers 4) or one node (server r is 8 + 2r, worker r 9 + 2r). The scheduler itself
// is alive: it answered.
int CountDead(const v1::ClusterStatus& status, int node_id, int timeout_s);
// INVALID_ARGUMENT unless it is 1 or more.
absl::Status CheckNodeId(int node_id);

// "worker 1 (host:pid), server 0 (host:port), which is not reachable": whom `infos` wait for. A
// server that puts requests off is named with the code: "server 0 (host:port), which puts requests
// off: RESOURCE_EXHAUSTED".
std::string WaitedFor(const RoutingTable& routing, const std::vector<WaitInfo>& infos);

}  // namespace kvstore
