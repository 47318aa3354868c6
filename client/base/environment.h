// Environment: the settings of the SDK (common/config) as a worker uses them: from InitPSEnv, the
// environment's variables, and the file that KVSTORE_CONFIG names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/model/nan_policy.h"

namespace kvstore {

enum class NodeRole { kWorkerRole, kServerRole, kSchedulerRole, kReaderRole };

// The rows of kWorkerProgram in common/config/setting_table.cc say which variables these come from.
struct Environment {
  NodeRole role = NodeRole::kWorkerRole;
  bool reads() const { return role == NodeRole::kReaderRole; }
  std::string scheduler;         // HOST:PORT; empty if not set
  uint32_t workers = 0;          // 0: not set
  uint32_t servers = 0;          // 0: not set
  std::optional<uint32_t> rank;  // wanted
  std::string node_host;         // this node's name in messages; empty if not set
  // Stretches every timer and timeout; the fields below are already scaled.
  double time_scale = 1.0;
  int64_t connect_timeout_ms = 60000;
  int64_t operation_timeout_ms = 300000;
  NanPolicy nan_policy = NanPolicy::kAllow;
  bool push_copy = false;
  bool shared_memory = true;       // with servers of this host
  std::string tls_dir;             // common/tls/tls_files.h; empty: no TLS
  std::string cuda_plugin;         // a file; empty: the default one
  std::string nccl_library;        // a file; empty: the default one
  uint32_t reduction_threads = 0;  // 0: not set
  std::string profile;  // the file of profiles, without worker<r>_; empty: nothing is recorded
  uint64_t profile_bytes_max = 0;
  // One line for each variable that is set and known but has no effect here: which one, and why.
  std::vector<std::string> warnings;
};

// Errors: INVALID_ARGUMENT names the variable, what was expected and what it holds.
absl::StatusOr<Environment> ReadEnvironment(const VariableLookup& lookup);

// The environment of this process: InitPSEnv's settings come first, then its variables.
absl::StatusOr<Environment> ReadEnvironment();

// One line for each variable of this process, or setting of InitPSEnv, that looks like ours and is
// not (common/config/unknown_variables.h).
std::vector<std::string> WarningsOfProcessVariables();

// One variable of this process: InitPSEnv's setting if there is one, else the environment's.
// Thread-safe.
std::optional<std::string> ProcessVariable(const std::string& name);

// KVStore::InitPSEnv. Later settings replace earlier ones of the same name. Thread-safe.
void SetProcessEnvironment(const std::map<std::string, std::string>& settings);

}  // namespace kvstore
