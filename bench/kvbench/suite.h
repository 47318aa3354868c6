// Runs the cases: for each, the store, raw TCP and memcpy take turns, so that all of them see the
// same machine in the same minute.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/kvbench/cases.h"
#include "bench/kvbench/local_cluster.h"
#include "bench/kvbench/machine.h"
#include "bench/kvbench/memcpy_baseline.h"
#include "bench/kvbench/options.h"
#include "bench/kvbench/server_figures.h"
#include "bench/kvbench/worker_group.h"
#include "cli/process/child_process.h"

namespace kvstore::bench {

struct CaseResult {
  Case measured;
  int servers = 0;  // 0: a local store
  // One per repeat; no store if only the limits were measured, no TCP beside a local store.
  std::vector<Sample> store;
  std::vector<Sample> tcp;
  std::vector<double> memcpy_bytes_per_s;
  // Of all repeats of the store, beside the workers' counts in `store`.
  ByteCounts server_bytes;
  // round: ServerFigures::memory_ratios right after the last repeat, and options.rest later.
  std::vector<double> memory_ratios;
  std::vector<double> memory_ratios_at_rest;
  int rest = 0;  // seconds
};

// Thread-compatible.
class Suite {
 public:
  // `program`: this executable; the daemons lie beside it.
  Suite(const Options& options, const std::string& program, std::unique_ptr<Supervisor> supervisor);

  const CorePlan& cores() const { return cores_; }

  // Calls `report` after each case. Errors: as WorkerGroup.
  absl::Status Run(const std::function<void(const CaseResult&)>& report);

 private:
  // A job: its daemons, unless they are somebody else's, and its workers. Empty if only the limits
  // are measured.
  struct Job {
    std::unique_ptr<LocalCluster> cluster;
    std::unique_ptr<WorkerGroup> workers;
  };

  // For `measured` and all cases that can share a job with it.
  absl::StatusOr<Job> StartJob(const Case& measured);
  absl::Status EndJob(Job* job) const;
  // Runs `cases`, which share a job.
  absl::Status RunCases(const std::vector<Case>& cases,
                        const std::function<void(const CaseResult&)>& report);
  absl::StatusOr<CaseResult> RunCase(const Case& measured, int first_key, const Job& job);
  // Zeros without a cluster.
  absl::StatusOr<ServerFigures> FiguresOfServers(const Job& job);
  absl::StatusOr<RunCommand> CommandFor(const Case& measured, WorkerGroup* workers) const;
  // How many rounds a repeat shall have.
  absl::StatusOr<uint64_t> FittingRounds(const Case& measured, WorkerGroup* workers) const;

  const Options options_;
  const std::string program_;
  ChildProcesses children_;
  const CorePlan cores_;
  MemcpyBaseline memcpy_;
};

}  // namespace kvstore::bench
