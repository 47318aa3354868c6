// The worker processes of one store type: every command goes to all of them, their answers are
// added up.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/kvbench/machine.h"
#include "bench/kvbench/worker_protocol.h"
#include "cli/process/child_process.h"

namespace kvstore::bench {

struct WorkerGroupOptions {
  std::string program;  // this executable
  std::string store;
  int workers = 1;
  int servers = 1;
  std::string scheduler;  // HOST:PORT; empty for a local store
  Cores cores;
};

// Thread-compatible. Errors of all calls: DATA_LOSS a worker found a wrong value; UNAVAILABLE a
// process of the job ended, or a store reports an error; CANCELLED by Ctrl-C.
class WorkerGroup {
 public:
  // Returns when every worker has its store. `watched` are processes without which no answer can
  // come; they and `children` must outlive the group.
  static absl::StatusOr<std::unique_ptr<WorkerGroup>> Start(
      ChildProcesses* children, const WorkerGroupOptions& options,
      const std::vector<const ChildProcess*>& watched);

  absl::Status Prepare(const PrepareCommand& command);
  // `expected_s`: about how long it takes.
  absl::StatusOr<Sample> Run(const RunCommand& command, double expected_s);
  // Lets the workers leave and end.
  absl::Status Finish();

 private:
  WorkerGroup() = default;
  absl::StatusOr<Line> Answer(size_t worker, double timeout_s);

  std::vector<std::unique_ptr<ChildProcess>> workers_;
  std::vector<const ChildProcess*> watched_;
};

}  // namespace kvstore::bench
