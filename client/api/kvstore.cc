// What KVStore itself does: the questions about the process.
#include "kvstore/kvstore.h"

#include <utility>

#include "client/base/environment.h"
#include "client/base/error_border.h"
#include "common/wire/byte_counts.h"

namespace kvstore {
namespace {

NodeRole Role() {
  const auto environment = ReadEnvironment();
  ThrowIfError(environment.status());
  return environment->role;
}

}  // namespace

KVStore::KVStore(std::string type) : type_(std::move(type)) {}

KVStore::~KVStore() = default;

void KVStore::InitPSEnv(const std::unordered_map<std::string, std::string>& environment) {
  SetProcessEnvironment({environment.begin(), environment.end()});
}

bool KVStore::IsWorkerNode() { return Role() == NodeRole::kWorkerRole; }
bool KVStore::IsReaderNode() { return Role() == NodeRole::kReaderRole; }
bool KVStore::IsServerNode() { return Role() == NodeRole::kServerRole; }
bool KVStore::IsSchedulerNode() { return Role() == NodeRole::kSchedulerRole; }

ByteCounts PayloadByteCounts() {
  const WireBytes bytes = TotalWireBytes();
  return {bytes.moved, bytes.copied};
}

const char* Version() { return KVS_VERSION; }

}  // namespace kvstore
