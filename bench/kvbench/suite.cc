#include "bench/kvbench/suite.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "bench/kvbench/interrupt.h"
#include "bench/kvbench/pattern.h"
#include "bench/kvbench/server_bytes.h"
#include "bench/kvbench/tcp_baseline.h"
#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

// Shares of a repeat: to fill windows and caches before measuring, and for memcpy, which is steady.
constexpr double kWarmupShare = 0.2;
constexpr double kMemcpyShare = 0.25;

std::string FolderOf(const std::string& program) {
  return program.substr(0, program.find_last_of('/'));
}

}  // namespace

Suite::Suite(const Options& options, const std::string& program)
    : options_(options),
      program_(program),
      cores_(PlanCores(options.pin)),
      memcpy_(options.memcpy_bytes, cores_.clients) {}

absl::Status Suite::Run(const std::function<void(const CaseResult&)>& report) {
  // A cluster has one optimizer and a fixed number of workers: rounds get a job of their own.
  std::vector<Case> exchanges;
  std::vector<Case> rounds;
  for (const Case& each : CasesOf(options_)) {
    (each.workload == Workload::kRound ? rounds : exchanges).push_back(each);
  }
  KVS_RETURN_IF_ERROR(RunCases(exchanges, report));
  return RunCases(rounds, report);
}

absl::Status Suite::RunCases(const std::vector<Case>& cases,
                             const std::function<void(const CaseResult&)>& report) {
  if (cases.empty()) return absl::OkStatus();
  KVS_ASSIGN_OR_RETURN(Job job, StartJob(cases[0].workers));
  int first_key = 0;
  for (const Case& each : cases) {
    KVS_ASSIGN_OR_RETURN(const CaseResult result, RunCase(each, first_key, job));
    report(result);
    first_key += static_cast<int>(each.keys);
  }
  return EndJob(&job);
}

absl::StatusOr<Suite::Job> Suite::StartJob(int workers) const {
  Job job;
  if (options_.limits_only()) return job;
  WorkerGroupOptions group;
  group.program = program_;
  group.store = options_.store;
  group.workers = workers;
  group.servers = options_.servers;
  group.cores = cores_.clients;
  group.scheduler = options_.scheduler;
  std::vector<const ChildProcess*> daemons;
  if (!options_.local() && options_.scheduler.empty()) {
    LocalClusterOptions cluster;
    cluster.program_folder = FolderOf(program_);
    cluster.workers = workers;
    cluster.servers = options_.servers;
    cluster.cores = cores_;
    const int server_cores =
        cores_.servers.empty() ? DescribeMachine().cores : static_cast<int>(cores_.servers.size());
    cluster.shards =
        options_.shards > 0 ? options_.shards : std::max(1, server_cores / options_.servers);
    KVS_ASSIGN_OR_RETURN(job.cluster, LocalCluster::Start(cluster));
    group.scheduler = job.cluster->scheduler();
    daemons = job.cluster->daemons();
  }
  KVS_ASSIGN_OR_RETURN(job.workers, WorkerGroup::Start(group, daemons));
  return job;
}

absl::Status Suite::EndJob(Job* job) const {
  if (job->workers != nullptr) KVS_RETURN_IF_ERROR(job->workers->Finish());
  return job->cluster == nullptr ? absl::OkStatus() : job->cluster->Stop();
}

absl::StatusOr<ByteCounts> Suite::ServerBytes(const Job& job) const {
  if (job.workers == nullptr || options_.local()) return ByteCounts{};
  return AskServerBytes(FolderOf(program_) + "/kvctl",
                        job.cluster == nullptr ? options_.scheduler : job.cluster->scheduler());
}

absl::StatusOr<RunCommand> Suite::CommandFor(const Case& measured, WorkerGroup* workers) const {
  RunCommand command;
  command.warmup_s = kWarmupShare * options_.seconds;
  command.seconds = options_.seconds;
  if (measured.workload != Workload::kRound) return command;
  // All workers must make the same number of rounds: as many as fit, by the second of two tries.
  command.rounds = 1;
  KVS_RETURN_IF_ERROR(workers->Run(command, options_.seconds).status());
  command.rounds = 2;
  KVS_ASSIGN_OR_RETURN(const Sample sample, workers->Run(command, options_.seconds));
  const uint64_t limit = RoundPattern{{}, measured.workers}.rounds_max();
  const double fitting = std::round(options_.seconds * sample.operations_per_s());
  command.rounds = std::clamp<uint64_t>(static_cast<uint64_t>(fitting), 1,
                                        limit / static_cast<uint64_t>(options_.repeats + 1));
  return command;
}

absl::StatusOr<CaseResult> Suite::RunCase(const Case& measured, int first_key, const Job& job) {
  CaseResult result;
  result.measured = measured;
  result.servers = options_.local() ? 0 : options_.servers;

  RunCommand command;
  if (job.workers != nullptr) {
    PrepareCommand prepare;
    prepare.measured = measured;
    prepare.first_key = first_key;
    prepare.seed = options_.seed;
    if (job.cluster != nullptr) prepare.server_pids = job.cluster->server_pids();
    KVS_RETURN_IF_ERROR(job.workers->Prepare(prepare));
    KVS_ASSIGN_OR_RETURN(command, CommandFor(measured, job.workers.get()));
  }
  std::unique_ptr<TcpBaseline> tcp;
  if (!options_.local()) {
    tcp = std::make_unique<TcpBaseline>(measured, options_.servers,
                                        TcpOptions{cores_, options_.congestion});
  }
  auto run_tcp = [&]() -> absl::Status {
    if (tcp == nullptr) return absl::OkStatus();
    KVS_ASSIGN_OR_RETURN(const Sample sample,
                         tcp->Run(kWarmupShare * options_.seconds, options_.seconds));
    result.tcp.push_back(sample);
    return absl::OkStatus();
  };
  auto run_store = [&]() -> absl::Status {
    if (job.workers == nullptr) return absl::OkStatus();
    KVS_ASSIGN_OR_RETURN(const Sample sample, job.workers->Run(command, options_.seconds));
    result.store.push_back(sample);
    return absl::OkStatus();
  };
  KVS_ASSIGN_OR_RETURN(const ByteCounts before, ServerBytes(job));
  for (int repeat = 0; repeat < options_.repeats; ++repeat) {
    if (Interrupted()) return absl::CancelledError("interrupted");
    result.memcpy_bytes_per_s.push_back(memcpy_.Run(kMemcpyShare * options_.seconds));
    // Who goes first changes, so that a machine that slows down does not favour one side.
    const bool store_first = repeat % 2 == 1;
    KVS_RETURN_IF_ERROR(store_first ? run_store() : run_tcp());
    KVS_RETURN_IF_ERROR(store_first ? run_tcp() : run_store());
  }
  KVS_ASSIGN_OR_RETURN(const ByteCounts after, ServerBytes(job));
  result.server_bytes = {after.moved - before.moved, after.copied - before.copied};
  return result;
}

}  // namespace kvstore::bench
