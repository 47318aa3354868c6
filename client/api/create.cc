// KVStore::Create: from a type's name to a store.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "client/api/server_role.h"
#include "client/api/store_facade.h"
#include "client/api/store_types.h"
#include "client/base/environment.h"
#include "client/base/error_border.h"
#include "client/base/no_memory.h"
#include "client/base/sdk_log.h"
#include "client/dist/dist_kvstore.h"
#include "client/local/local_backend.h"
#include "kvstore/kvstore.h"

namespace kvstore {
namespace {

absl::StatusOr<std::shared_ptr<StoreBackend>> MakeBackend(const StoreType& type,
                                                          const Environment& environment) {
  switch (type.family) {
    case StoreFamily::kLocal:
      if (type.sums == SumsOf::kNccl) return MakeNcclBackend(environment);
      return MakeLocalBackend(environment, type.sums == SumsOf::kDevices);
    case StoreFamily::kDist:
      if (environment.role == NodeRole::kServerRole ||
          environment.role == NodeRole::kSchedulerRole) {
        return MakeServerRoleBackend(environment);
      }
      return MakeDistBackend(environment, type.name);
  }
  return absl::InternalError("no such family of stores");
}

std::unique_ptr<KVStore> CreateStore(const std::string& type, const StoreOptions& options) {
  const auto parsed = ParseStoreType(type);
  ThrowIfError(parsed.status());
  if (options.reader && parsed->family == StoreFamily::kLocal) {
    ThrowIfError(absl::InvalidArgumentError(
        fmt::format("StoreOptions::reader: a dist store expected, got type '{}'", parsed->name)));
  }
  auto environment = ReadEnvironment();
  ThrowIfError(environment.status());
  if (options.reader) environment->role = NodeRole::kReaderRole;
  for (const std::string& warning : environment->warnings) LogWarningOnce(warning);
  for (const std::string& warning : WarningsOfProcessVariables()) LogWarningOnce(warning);
  auto backend = MakeBackend(*parsed, *environment);
  ThrowIfError(backend.status());
  return std::make_unique<StoreFacade>(parsed->name, *std::move(backend));
}

}  // namespace

std::unique_ptr<KVStore> KVStore::CreateUnique(const std::string& type) {
  return WithinMemory([&] { return CreateStore(type, {}); });
}

std::unique_ptr<KVStore> KVStore::CreateUnique(const std::string& type,
                                               const StoreOptions& options) {
  return WithinMemory([&] { return CreateStore(type, options); });
}

KVStore* KVStore::Create(const char* type) {
  return WithinMemory([&] { return CreateStore(type == nullptr ? "" : type, {}).release(); });
}

}  // namespace kvstore
