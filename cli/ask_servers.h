// AskServers: one question to every server of a cluster that is not known to be gone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "cli/cluster_ask.h"
#include "cli/cluster_report.h"
#include "common/transport/transport.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

// Address by rank.
using ServerAddresses = std::map<uint32_t, std::string>;

// Those that are not known to be gone.
ServerAddresses ServersOf(const v1::ClusterStatus& cluster);
// The same, of the scheduler's answer. Errors: those of asking it.
absl::StatusOr<ServerAddresses> FindServers(Transport& transport, const std::string& scheduler,
                                            int64_t timeout_ms);

// What the scheduler and the servers say of themselves. Errors: those of asking the scheduler; a
// server's is in the report.
absl::StatusOr<ClusterReport> AskCluster(const ClusterAsk& ask);

// Calls `ask` for each server; returns when all calls have. Some run at a time, each on a thread of
// its own, so that servers that do not answer hold up none of the others: 32 of them cost one
// timeout.
void ForEachAtOnce(const ServerAddresses& servers,
                   absl::FunctionRef<void(uint32_t rank, const std::string& address)> ask);

// What `ask(address)` returns, of every server by rank. Called as above.
template <typename Answer, typename Ask>
std::map<uint32_t, Answer> AnswersOf(const ServerAddresses& servers, const Ask& ask) {
  std::map<uint32_t, std::optional<Answer>> places;
  for (const auto& [rank, address] : servers) places[rank];
  ForEachAtOnce(servers, [&](uint32_t rank, const std::string& address) {
    places.at(rank).emplace(ask(address));
  });
  std::map<uint32_t, Answer> answers;
  for (auto& [rank, answer] : places) answers.emplace(rank, *std::move(answer));
  return answers;
}

// The answer of `ask(transport, address, timeout_ms)`, or its error, of every server by rank.
// Errors: those of asking the scheduler.
template <typename Answer, typename Ask>
absl::StatusOr<std::map<uint32_t, absl::StatusOr<Answer>>> AskServers(Transport& transport,
                                                                      const std::string& scheduler,
                                                                      int64_t timeout_ms,
                                                                      const Ask& ask) {
  const absl::StatusOr<ServerAddresses> servers = FindServers(transport, scheduler, timeout_ms);
  if (!servers.ok()) return servers.status();
  return AnswersOf<absl::StatusOr<Answer>>(
      *servers, [&](const std::string& address) { return ask(transport, address, timeout_ms); });
}

}  // namespace kvstore
