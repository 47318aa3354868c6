#include "cli/ask_servers.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "cli/ask.h"
#include "common/base/status_macros.h"
#include "common/transport/host_port.h"

namespace kvstore {
namespace {

constexpr size_t kAtOnceMax = 32;

}  // namespace

ServerAddresses ServersOf(const v1::ClusterStatus& cluster) {
  ServerAddresses servers;
  for (const v1::NodeStatus& node : cluster.nodes()) {
    const bool gone = node.health() == v1::HEALTH_LEFT || node.health() == v1::HEALTH_DEAD;
    if (node.role() == v1::ROLE_SERVER && !gone) servers.emplace(node.rank(), node.address());
  }
  return servers;
}

absl::StatusOr<ServerAddresses> FindServers(Transport& transport, const std::string& scheduler,
                                            int64_t timeout_ms) {
  KVS_RETURN_IF_ERROR(ParseHostPort(scheduler).status());
  KVS_ASSIGN_OR_RETURN(const v1::ClusterStatus cluster,
                       AskScheduler(transport, scheduler, timeout_ms));
  return ServersOf(cluster);
}

absl::StatusOr<ClusterReport> AskCluster(const ClusterAsk& ask) {
  KVS_RETURN_IF_ERROR(ParseHostPort(ask.scheduler).status());
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(ask));
  ClusterReport report;
  auto cluster = AskScheduler(*transport, ask.scheduler, ask.timeout_ms);
  if (!cluster.ok()) {
    // The message names the address.
    return absl::Status(
        cluster.status().code(),
        fmt::format("no status from the scheduler: {}", std::string(cluster.status().message())));
  }
  report.cluster = *std::move(cluster);
  report.servers = AnswersOf<absl::StatusOr<v1::ServerStatus>>(
      ServersOf(report.cluster),
      [&](const std::string& address) { return AskServer(*transport, address, ask.timeout_ms); });
  return report;
}

void ForEachAtOnce(const ServerAddresses& servers,
                   absl::FunctionRef<void(uint32_t rank, const std::string& address)> ask) {
  const std::vector<std::pair<uint32_t, std::string>> all(servers.begin(), servers.end());
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(all.size(), kAtOnceMax); ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < all.size(); at = next++) ask(all[at].first, all[at].second);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace kvstore
