// What KVStore itself does: the call that no store has yet, and the questions about the process.
#include "kvstore/kvstore.h"

#include <utility>

#include "client/base/environment.h"
#include "client/base/error_border.h"
#include "common/wire/byte_counts.h"

namespace kvstore {
namespace {

[[noreturn]] void ThrowToCome(const char* call, const std::string& type) {
  throw Error(ErrorCode::kUnimplemented,
              std::string(call) + " is still to come on a store of type " + type);
}

NodeRole Role() {
  const auto environment = ReadEnvironment();
  ThrowIfError(environment.status());
  return environment->role;
}

}  // namespace

KVStore::KVStore(std::string type) : type_(std::move(type)) {}

KVStore::~KVStore() = default;

void KVStore::SetServerProfilerCommand(KVStoreServerProfilerCommand, const std::string&) {
  ThrowToCome("SetServerProfilerCommand", type());
}

void KVStore::InitPSEnv(const std::unordered_map<std::string, std::string>& environment) {
  SetProcessEnvironment({environment.begin(), environment.end()});
}

bool KVStore::IsWorkerNode() { return Role() == NodeRole::kWorkerRole; }
bool KVStore::IsServerNode() { return Role() == NodeRole::kServerRole; }
bool KVStore::IsSchedulerNode() { return Role() == NodeRole::kSchedulerRole; }

ByteCounts PayloadByteCounts() {
  const WireBytes bytes = TotalWireBytes();
  return {bytes.moved, bytes.copied};
}

const char* Version() { return KVS_VERSION; }

}  // namespace kvstore
