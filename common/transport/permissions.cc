#include "common/transport/permissions.h"

#include <fmt/format.h>

#include "common/transport/methods.h"

namespace kvstore {

const std::vector<Permission>& Permissions() {
  constexpr PeerRoles kLookers = kAnyPeer;  // what names, counts and clocks tell
  constexpr PeerRoles kOperators = kAdminPeer;
  static const auto& table = *new std::vector<Permission>{
      // Which role a member joins as is looked at when it says it (server/scheduler).
      {kSchedulerSessionMethod, kWorkerPeer | kServerPeer | kAdminPeer},
      {ShardMethod(0), kWorkerPeer | kAdminPeer},
      {kSchedulerStatusMethod, kLookers},
      {kServerStatusMethod, kLookers},
      {kKeyStatsMethod, kLookers},
      {kReadProfileMethod, kAdminPeer | kViewerPeer},
      {kReadKeyMethod, kOperators},  // values
      {kDeleteKeysMethod, kOperators},
      {kResetKeysMethod, kOperators},
      {kOrderNumbersMethod, kOperators},
      {kOrderProfilerMethod, kOperators},
      {kRunCommandMethod, kOperators},
  };
  return table;
}

PeerRoles RolesFor(const std::string& method) {
  const std::string name = IsShardMethod(method) ? ShardMethod(0) : method;
  for (const Permission& row : Permissions()) {
    if (row.method == name) return row.roles;
  }
  return 0;
}

absl::Status CheckPermission(const std::string& method, const Identity& caller) {
  const PeerRoles roles = RolesFor(method);
  if ((caller.roles & roles) != 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      fmt::format("{}: the certificate of '{}' is of: {}; expected of: {}", method, caller.name,
                  RoleNames(caller.roles), RoleNames(roles)));
}

}  // namespace kvstore
