#include "server/scheduler/member_identity.h"

#include <fmt/format.h>

#include <string>

#include "common/transport/host_port.h"

namespace kvstore {
namespace {

absl::Status Denied(const Identity& caller, const std::string& expected, const std::string& got) {
  return absl::PermissionDeniedError(fmt::format(
      "the certificate of '{}' is for {}, it was used to register {}", caller.name, expected, got));
}

}  // namespace

absl::Status CheckRegistration(const Identity& caller, v1::Register* wish) {
  const bool server = wish->role() == v1::ROLE_SERVER;
  if ((caller.roles & ((server ? kServerPeer : kWorkerPeer) | kAdminPeer)) == 0) {
    return Denied(caller, RoleNames(caller.roles), server ? "a server" : "a worker or reader");
  }
  if (server && !caller.server_node.empty()) {
    const auto address = ParseHostPort(wish->address());
    if (!address.ok() || address->host != caller.server_node) {
      return Denied(caller, fmt::format("the server of host {}", caller.server_node),
                    fmt::format("one that advertises {}", wish->address()));
    }
  }
  if (wish->role() == v1::ROLE_WORKER && caller.worker_rank) {
    const uint32_t pinned = *caller.worker_rank + 1;
    const uint32_t wanted = wish->wanted_rank_plus_one();
    if (wanted != 0 && wanted != pinned) {
      return Denied(caller, fmt::format("worker {}", *caller.worker_rank),
                    fmt::format("worker {}", wanted - 1));
    }
    wish->set_wanted_rank_plus_one(pinned);
  }
  return absl::OkStatus();
}

}  // namespace kvstore
