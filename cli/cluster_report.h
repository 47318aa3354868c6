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
  // By rank; a server that did not answer has its error.
  std::map<uint32_t, absl::StatusOr<v1::ServerStatus>> servers;
};

// The cluster, its nodes, open barriers and open rounds: who is waited for and since when.
std::string ReportAsTable(const ClusterReport& report);

// {"cluster": ClusterStatus, "servers": [ServerStatus or {"rank", "error"}]}: protobuf's JSON
// mapping with the field names of scheduler.proto, so 64-bit numbers are strings.
std::string ReportAsJson(const ClusterReport& report);

}  // namespace kvstore
