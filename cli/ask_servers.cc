#include "cli/ask_servers.h"

#include "cli/ask.h"
#include "common/base/status_macros.h"
#include "common/transport/host_port.h"

namespace kvstore {

absl::Status ForEachServer(
    Transport& transport, const std::string& scheduler, int64_t timeout_ms,
    const std::function<void(uint32_t rank, const std::string& address)>& ask) {
  KVS_RETURN_IF_ERROR(ParseHostPort(scheduler).status());
  KVS_ASSIGN_OR_RETURN(const v1::ClusterStatus cluster,
                       AskScheduler(transport, scheduler, timeout_ms));
  for (const v1::NodeStatus& node : cluster.nodes()) {
    if (node.role() != v1::ROLE_SERVER || node.health() == v1::HEALTH_LEFT ||
        node.health() == v1::HEALTH_DEAD) {
      continue;
    }
    ask(node.rank(), node.address());
  }
  return absl::OkStatus();
}

}  // namespace kvstore
