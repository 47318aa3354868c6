// What the answers of scheduler and servers say, in the words that kvctl's tables, JSON and
// explanations share. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/cluster_report.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

std::string RoleText(v1::Role role);
std::string HealthText(v1::Health health);
// "server 1"; of a reader, which has no rank, "reader".
std::string NodeName(const v1::NodeStatus& node);

// "worker 0, worker 2 (suspect)": whoever is not alive with what it is.
std::string WorkersText(const v1::ClusterStatus& cluster,
                        const google::protobuf::RepeatedField<uint32_t>& ranks);

// Servers first, by rank; readers, which have none, last.
std::vector<v1::NodeStatus> SortedNodes(const v1::ClusterStatus& cluster);

// What the server of that rank answered; null if it did not.
const v1::ServerStatus* AnswerOf(const ClusterReport& report, uint32_t rank);

// How long rounds waited for the worker as the last one, at the server where that is most, in ms.
std::optional<uint64_t> WaitedFor(const ClusterReport& report, uint32_t rank);

struct Rounds {
  struct Row {
    uint32_t server;
    v1::OpenRound round;
    std::string key;
  };
  std::vector<Row> rows;  // oldest first
  uint64_t total = 0;     // servers tell their oldest ones only
  std::vector<std::string> errors;
};

// Of all servers.
Rounds OpenRounds(const ClusterReport& report);

// Who is missing in the round, or what holds it.
std::string WaitingText(const v1::ClusterStatus& cluster, const v1::OpenRound& round);

}  // namespace kvstore
