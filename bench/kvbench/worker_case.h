// The store's side of a case, in a worker process: it prepares keys, moves values for a while,
// checks every one of them.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "bench/kvbench/worker_protocol.h"
#include "kvstore/kvstore.h"

namespace kvstore::bench {

// Thread-compatible. What the store reports comes out as kvstore::Error.
class WorkerCase {
 public:
  virtual ~WorkerCase() = default;
  // One repeat. Errors: DATA_LOSS a value differs from its closed form.
  virtual absl::StatusOr<Sample> Run(const RunCommand& command) = 0;
};

// push, pull, pushpull, latency. Creates the keys. `store` must outlive the case.
std::unique_ptr<WorkerCase> MakeExchange(const PrepareCommand& command, KVStore* store);

// round, async, small. Creates the keys and sets the optimizer; all workers must come here.
std::unique_ptr<WorkerCase> MakeRounds(const PrepareCommand& command, KVStore* store);

// init. Uses the keys from the first one on.
std::unique_ptr<WorkerCase> MakeCreation(const PrepareCommand& command, KVStore* store);

// rowsparse. Creates one key and sets the optimizer; all workers must come here.
std::unique_ptr<WorkerCase> MakeSparseRounds(const PrepareCommand& command, KVStore* store);

// Makes the case of any workload.
std::unique_ptr<WorkerCase> MakeWorkerCase(const PrepareCommand& command, KVStore* store);

// Rounds that the store's side can make in all; more than anybody waits for where nothing limits
// it.
uint64_t RoundsMax(const Case& measured);

}  // namespace kvstore::bench
