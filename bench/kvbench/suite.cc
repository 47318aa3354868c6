#include "bench/kvbench/suite.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <utility>

#include "bench/kvbench/plan.h"
#include "bench/kvbench/tcp_baseline.h"
#include "bench/kvbench/worker_case.h"
#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

// Shares of a repeat: to fill windows and caches before measuring, and for memcpy, which is steady.
constexpr double kWarmupShare = 0.2;
constexpr double kMemcpyShare = 0.25;
// A try that shows how many rounds fit into a repeat takes at least this.
constexpr double kTryShare = 0.1;

std::string FolderOf(const std::string& program) {
  return program.substr(0, program.find_last_of('/'));
}

}  // namespace

Suite::Suite(const Options& options, const std::string& program,
             std::unique_ptr<Supervisor> supervisor)
    : options_(options),
      program_(program),
      children_(std::move(supervisor)),
      cores_(PlanCores(options.pin)),
      memcpy_(options.memcpy_bytes, cores_.clients) {}

absl::Status Suite::Run(const std::function<void(const CaseResult&)>& report) {
  std::vector<Case> sharing;  // those before that are still to be run
  for (const Case& each : CasesOf(options_)) {
    if (!sharing.empty() && !ShareJob(options_, sharing[0], each)) {
      KVS_RETURN_IF_ERROR(RunCases(sharing, report));
      sharing.clear();
    }
    sharing.push_back(each);
  }
  return RunCases(sharing, report);
}

absl::Status Suite::RunCases(const std::vector<Case>& cases,
                             const std::function<void(const CaseResult&)>& report) {
  if (cases.empty()) return absl::OkStatus();
  KVS_ASSIGN_OR_RETURN(Job job, StartJob(cases[0]));
  int first_key = 0;
  for (const Case& each : cases) {
    KVS_ASSIGN_OR_RETURN(const CaseResult result, RunCase(each, first_key, job));
    report(result);
    first_key += static_cast<int>(each.keys);  // `init`, which needs more, has its own job
  }
  return EndJob(&job);
}

absl::StatusOr<Suite::Job> Suite::StartJob(const Case& measured) {
  Job job;
  if (options_.limits_only()) return job;
  WorkerGroupOptions group;
  group.program = program_;
  group.store = StoreTypeOf(options_, measured);
  group.workers = measured.workers;
  group.servers = options_.servers;
  group.cores = cores_.clients;
  group.scheduler = options_.scheduler;
  std::vector<const ChildProcess*> daemons;
  if (!options_.local() && options_.scheduler.empty()) {
    LocalClusterOptions cluster;
    cluster.program_folder = FolderOf(program_);
    cluster.workers = measured.workers;
    cluster.servers = options_.servers;
    cluster.cores = cores_;
    const int server_cores =
        cores_.servers.empty() ? DescribeMachine().cores : static_cast<int>(cores_.servers.size());
    cluster.shards =
        options_.shards > 0 ? options_.shards : std::max(1, server_cores / options_.servers);
    KVS_ASSIGN_OR_RETURN(job.cluster, LocalCluster::Start(&children_, cluster));
    group.scheduler = job.cluster->scheduler();
    daemons = job.cluster->daemons();
  }
  KVS_ASSIGN_OR_RETURN(job.workers, WorkerGroup::Start(&children_, group, daemons));
  return job;
}

absl::Status Suite::EndJob(Job* job) const {
  if (job->workers != nullptr) KVS_RETURN_IF_ERROR(job->workers->Finish());
  return job->cluster == nullptr ? absl::OkStatus() : job->cluster->Stop();
}

absl::StatusOr<ServerFigures> Suite::FiguresOfServers(const Job& job) {
  if (job.workers == nullptr || options_.local()) return ServerFigures{};
  return AskServers(&children_, FolderOf(program_) + "/kvctl",
                    job.cluster == nullptr ? options_.scheduler : job.cluster->scheduler());
}

absl::StatusOr<RunCommand> Suite::CommandFor(const Case& measured, WorkerGroup* workers) const {
  RunCommand command;
  command.warmup_s = kWarmupShare * options_.seconds;
  command.seconds = options_.seconds;
  if (InRounds(measured.workload)) {
    KVS_ASSIGN_OR_RETURN(command.rounds, FittingRounds(measured, workers));
  }
  return command;
}

absl::StatusOr<uint64_t> Suite::FittingRounds(const Case& measured, WorkerGroup* workers) const {
  // All workers must make the same number of rounds: as many as fit, by a try that took long
  // enough to tell.
  const uint64_t limit =
      std::max<uint64_t>(1, RoundsMax(measured) / static_cast<uint64_t>(options_.repeats + 2));
  RunCommand command;
  command.rounds = 1;
  KVS_RETURN_IF_ERROR(workers->Run(command, options_.seconds).status());
  while (true) {
    KVS_ASSIGN_OR_RETURN(const Sample sample, workers->Run(command, options_.seconds));
    const double fitting = static_cast<double>(command.rounds) * options_.seconds / sample.seconds;
    const auto next = std::clamp<uint64_t>(static_cast<uint64_t>(std::round(fitting)), 1, limit);
    if (sample.seconds >= kTryShare * options_.seconds || 4 * command.rounds >= limit) return next;
    command.rounds = std::min(4 * command.rounds, next);
  }
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
  KVS_ASSIGN_OR_RETURN(const ServerFigures before, FiguresOfServers(job));
  for (int repeat = 0; repeat < options_.repeats; ++repeat) {
    if (children_.Interrupted()) return absl::CancelledError("interrupted");
    result.memcpy_bytes_per_s.push_back(memcpy_.Run(kMemcpyShare * options_.seconds));
    // Who goes first changes, so that a machine that slows down does not favour one side.
    const bool store_first = repeat % 2 == 1;
    KVS_RETURN_IF_ERROR(store_first ? run_store() : run_tcp());
    KVS_RETURN_IF_ERROR(store_first ? run_tcp() : run_store());
  }
  KVS_ASSIGN_OR_RETURN(const ServerFigures after, FiguresOfServers(job));
  result.server_bytes = {after.bytes.moved - before.bytes.moved,
                         after.bytes.copied - before.bytes.copied};
  if (measured.workload == Workload::kRound && !after.memory_ratios.empty()) {
    result.memory_ratios = after.memory_ratios;
    result.rest = options_.rest;
    std::this_thread::sleep_for(std::chrono::seconds(options_.rest));
    KVS_ASSIGN_OR_RETURN(const ServerFigures rested, FiguresOfServers(job));
    result.memory_ratios_at_rest = rested.memory_ratios;
  }
  return result;
}

}  // namespace kvstore::bench
