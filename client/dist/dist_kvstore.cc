#include "client/dist/dist_kvstore.h"

#include <utility>

#include "client/dist/cluster_session.h"
#include "client/dist/dist_backend.h"
#include "client/dist/session_share.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

// The name of the type that the scheduler compares among workers: two names with one meaning become
// one.
std::string CanonicalType(const std::string& type) {
  if (type == "dist") return "dist_sync";
  if (type == "dist_sync_device") return "dist_device_sync";
  if (type == "dist_async_device") return "dist_device_async";
  return type;
}

std::shared_ptr<StoreBackend> BackendOf(std::shared_ptr<SessionShare> share,
                                        const Environment& environment) {
  const std::string& type = share->session()->store_type();
  const bool sums_on_devices = type == "dist_device_sync" || type == "dist_device_async";
  return std::make_shared<DistBackend>(std::move(share), environment, sums_on_devices);
}

}  // namespace

absl::StatusOr<std::shared_ptr<StoreBackend>> MakeDistBackend(std::shared_ptr<Transport> transport,
                                                              const Environment& environment,
                                                              const std::string& store_type) {
  KVS_ASSIGN_OR_RETURN(auto session, ClusterSession::Join(std::move(transport), environment,
                                                          CanonicalType(store_type)));
  auto share = std::make_shared<SessionShare>(std::move(session));
  share->Enter();
  return BackendOf(std::move(share), environment);
}

absl::StatusOr<std::shared_ptr<StoreBackend>> MakeDistBackend(const Environment& environment,
                                                              const std::string& store_type) {
  KVS_ASSIGN_OR_RETURN(auto share, EnterProcessSession(environment, CanonicalType(store_type)));
  return BackendOf(std::move(share), environment);
}

}  // namespace kvstore
