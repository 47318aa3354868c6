// The stores of a cluster: dist, dist_sync, dist_async and their device aliases, dist_ssp:<s>. A
// value is cut into parts, a row_sparse one into stripes; each travels by itself; an operation is
// over when all of its parts are.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/base/environment.h"
#include "client/store/store_backend.h"
#include "common/transport/transport.h"

namespace kvstore {

// Joins the cluster that `environment` names. The stores of one process share one membership.
// Errors: those of ClusterSession::Join; FAILED_PRECONDITION naming both types when the process is
// a member as another type, or when it was forked from a member.
absl::StatusOr<std::shared_ptr<StoreBackend>> MakeDistBackend(const Environment& environment,
                                                              const std::string& store_type);

// The same over a given transport, with a membership of its own: many workers in one process.
absl::StatusOr<std::shared_ptr<StoreBackend>> MakeDistBackend(std::shared_ptr<Transport> transport,
                                                              const Environment& environment,
                                                              const std::string& store_type);

}  // namespace kvstore
