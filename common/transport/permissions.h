// Who may call what: one row for each RPC. It is looked at where a call arrives, when connections
// are encrypted; without certificates nobody is known, and everybody may do everything.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/tls/identity.h"

namespace kvstore {

struct Permission {
  std::string method;  // of the streams of shards: that of shard 0
  PeerRoles roles = 0;
};
const std::vector<Permission>& Permissions();

// The roles of the row of `method`, whichever shard it is and whether or not it goes through shared
// memory; 0 if there is no row: then nobody may call it.
PeerRoles RolesFor(const std::string& method);

// Errors: PERMISSION_DENIED names who calls, what, and which roles may.
absl::Status CheckPermission(const std::string& method, const Identity& caller);

}  // namespace kvstore
