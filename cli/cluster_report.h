// ClusterReport: what `kvctl status` shows, from the answers of the scheduler and the servers.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

struct ClusterReport {
  v1::ClusterStatus cluster;
  // The servers' answers by rank; of a server that did not answer, the error.
  std::map<uint32_t, absl::StatusOr<v1::ServerStatus>> servers;
};

// The cluster, its nodes, open barriers and open rounds: who is waited for and since when.
std::string ReportAsTable(const ClusterReport& report);

// The same as one JSON object on one line; fields are added, never renamed:
//   cluster (hex), state, job, store_type, epoch, term, workers, servers,
//   nodes        [{node, role, rank, incarnation, address, health, connected, silent_ms, for
//                 workers of a synchronous store waited_for_ms, and for
//                 servers shards, slots, keys, value_bytes, parked_bytes, held_bytes,
//                 resident_bytes, committed_rounds, payload_bytes_moved, payload_bytes_copied,
//                 updater_plugin (its name, or ""), not_finite_pushes, streams,
//                 streams_in_memory}]
//   obstacles    [text]: what keeps the job from starting
//   barriers     [{generation, age_ms, arrived [node], missing [node]}]
//   open_rounds  [{key, round, parts, server, age_ms, missing [node], held_from_step}], oldest
//                 first; held_from_step: it is held by a change of the optimizer's numbers, or 0
//   open_rounds_total, errors [text]
std::string ReportAsJson(const ClusterReport& report);

// Parts of both: the nodes; the open rounds, with what servers did not answer; the open barriers.
std::string NodesAsTable(const ClusterReport& report);
std::string NodesAsJson(const ClusterReport& report);
std::string RoundsAsTable(const ClusterReport& report);
std::string RoundsAsJson(const ClusterReport& report);
std::string BarriersAsTable(const ClusterReport& report);
std::string BarriersAsJson(const ClusterReport& report);

}  // namespace kvstore
