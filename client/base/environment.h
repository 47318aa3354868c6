// Environment: everything that the SDK takes from environment variables and from InitPSEnv, read
// and checked in this one place.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kvstore {

enum class NodeRole { kWorkerRole, kServerRole, kSchedulerRole };

struct Environment {
  NodeRole role = NodeRole::kWorkerRole;  // KVSTORE_ROLE, DMLC_ROLE
  // KVSTORE_SCHEDULER, or DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT: HOST:PORT; empty if not set.
  std::string scheduler;
  uint32_t workers = 0;  // KVSTORE_NUM_WORKERS, DMLC_NUM_WORKER; 0: not set
  uint32_t servers = 0;  // KVSTORE_NUM_SERVERS, DMLC_NUM_SERVER; 0: not set
  // KVSTORE_RANK, DMLC_WORKER_ID; else torchrun's RANK (with WORLD_SIZE), Slurm's SLURM_PROCID
  // (with SLURM_NTASKS), if the world is as large as `workers` says or that is not set.
  std::optional<uint32_t> rank;
  std::string node_host;  // KVSTORE_NODE_HOST, DMLC_NODE_HOST: this node's name in messages
  // KVSTORE_TIME_SCALE stretches every timer and timeout; the fields below are already scaled.
  double time_scale = 1.0;
  int64_t connect_timeout_ms = 60000;     // KVSTORE_CONNECT_TIMEOUT_MS
  int64_t operation_timeout_ms = 300000;  // KVSTORE_OP_TIMEOUT_MS
  // One line for each variable that is set, is known, and has no effect here: which, and why.
  std::vector<std::string> warnings;
};

using VariableLookup = std::function<std::optional<std::string>(const std::string& name)>;

// Errors: INVALID_ARGUMENT names the variable, what was expected and what it holds.
absl::StatusOr<Environment> ReadEnvironment(const VariableLookup& lookup);

// Of this process: InitPSEnv's settings, then the environment.
absl::StatusOr<Environment> ReadEnvironment();

// One variable: InitPSEnv's setting, then the environment's. Thread-safe.
std::optional<std::string> ProcessVariable(const std::string& name);

// KVStore::InitPSEnv. Later settings replace earlier ones of the same name. Thread-safe.
void SetProcessEnvironment(const std::map<std::string, std::string>& settings);

}  // namespace kvstore
