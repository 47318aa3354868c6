// How a worker takes part in a cluster, as its environment says it: what it registers as, and the
// times of its cores, stretched by KVSTORE_TIME_SCALE.
#pragma once

#include <cstdint>
#include <string>

#include "client/base/environment.h"
#include "client/core/client_core.h"
#include "client/dist/server_reach.h"
#include "common/membership/core/membership_core.h"

namespace kvstore {

// "host:pid": how others name this process.
std::string NodeLabel(const Environment& environment);

// `ms` as long as the environment's time scale makes it.
int64_t ScaledTime(const Environment& environment, int64_t ms);

// Each call draws a new nonce: to be called once per membership.
MembershipOptions MembershipOptionsOf(const Environment& environment,
                                      const std::string& store_type);
ClientCoreOptions ClientOptionsOf(const Environment& environment);
ServerReachOptions ReachOptionsOf(const Environment& environment);

}  // namespace kvstore
