// The dist stores of a process whose role is server or scheduler, as MXNet's programs make them:
// they keep the updater and run the server. The server itself is the library kvstore::server, which
// the SDK finds only if the program was linked with it: client and server code never meet.
#pragma once

#include <memory>

#include "client/base/environment.h"
#include "client/store/store_backend.h"

namespace kvstore {

// `environment.role` is not worker. Joins nothing yet.
std::shared_ptr<StoreBackend> MakeServerRoleBackend(const Environment& environment);

}  // namespace kvstore
