// A cluster of real daemons on this machine, for as long as the object lives.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/kvbench/machine.h"
#include "cli/process/child_process.h"

namespace kvstore::bench {

// A new one, for whoever asks to remove. Errors: UNAVAILABLE.
absl::StatusOr<std::string> TemporaryFolder();

struct LocalClusterOptions {
  std::string program_folder;  // where kvscheduler and kvstored are
  int workers = 1;
  int servers = 1;
  int shards = 1;
  CorePlan cores;  // the scheduler has work only at the beginning: it stays with the servers
};

// Thread-compatible.
class LocalCluster {
 public:
  // Returns when the scheduler listens; the servers are on their way. Errors: UNAVAILABLE a daemon
  // did not start, with the end of its log. `children` outlives the cluster.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Start(ChildProcesses* children,
                                                             const LocalClusterOptions& options);
  // Ends what Stop has not ended, and removes the state.
  ~LocalCluster();

  const std::string& scheduler() const { return scheduler_address_; }  // HOST:PORT
  std::vector<pid_t> server_pids() const;
  // To be watched while waiting for a worker.
  std::vector<const ChildProcess*> daemons() const;

  // SIGTERM to everybody. Errors: INTERNAL names who did not end as it should.
  absl::Status Stop();

 private:
  LocalCluster() = default;

  std::string folder_;  // temporary: the scheduler's state
  std::string scheduler_address_;
  std::unique_ptr<ChildProcess> scheduler_;
  std::vector<std::unique_ptr<ChildProcess>> servers_;
};

}  // namespace kvstore::bench
