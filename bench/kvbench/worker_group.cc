#include "bench/kvbench/worker_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

constexpr double kConnectTimeoutS = 90;  // longer than the SDK's own, which says what is missing
constexpr double kAnswerTimeoutS = 400;  // likewise
constexpr double kEndTimeoutS = 60;

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerGroup>> WorkerGroup::Start(
    ChildProcesses* children, const WorkerGroupOptions& options,
    const std::vector<const ChildProcess*>& watched) {
  std::unique_ptr<WorkerGroup> group(new WorkerGroup());
  group->watched_ = watched;
  for (int i = 0; i < options.workers; ++i) {
    ChildOptions child;
    child.process.name = fmt::format("worker {}", i);
    child.process.command = {options.program, "--role", "worker", "--store", options.store};
    child.process.has_input = true;
    child.process.cpus = options.cores;
    child.output = ChildOutput::kForward;
    if (!options.scheduler.empty()) {
      child.process.environment = {{"KVSTORE_ROLE", "worker"},
                                   {"KVSTORE_SCHEDULER", options.scheduler},
                                   {"KVSTORE_NUM_WORKERS", fmt::to_string(options.workers)},
                                   {"KVSTORE_NUM_SERVERS", fmt::to_string(options.servers)},
                                   {"KVSTORE_RANK", fmt::to_string(i)}};
    }
    KVS_ASSIGN_OR_RETURN(std::unique_ptr<ChildProcess> worker, children->Start(child));
    group->workers_.push_back(std::move(worker));
  }
  for (size_t i = 0; i < group->workers_.size(); ++i) {
    KVS_RETURN_IF_ERROR(group->Answer(i, kConnectTimeoutS).status());
  }
  return group;
}

absl::StatusOr<Line> WorkerGroup::Answer(size_t worker, double timeout_s) {
  ChildProcess& process = *workers_[worker];
  KVS_ASSIGN_OR_RETURN(const std::string text, process.ReadLine(timeout_s, watched_));
  KVS_ASSIGN_OR_RETURN(Line line, ParseLine(text));
  const std::string message = fmt::format("{}: {}", process.name(), line.text);
  if (line.verb == "wrong") return absl::DataLossError(message);
  if (line.verb == "failed") return absl::UnavailableError(message);
  return line;
}

absl::Status WorkerGroup::Prepare(const PrepareCommand& command) {
  const std::string text = FormatLine(LineOf(command));
  for (const auto& worker : workers_) KVS_RETURN_IF_ERROR(worker->WriteLine(text));
  for (size_t i = 0; i < workers_.size(); ++i) {
    KVS_RETURN_IF_ERROR(Answer(i, kAnswerTimeoutS).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<Sample> WorkerGroup::Run(const RunCommand& command, double expected_s) {
  const std::string text = FormatLine(LineOf(command));
  for (const auto& worker : workers_) KVS_RETURN_IF_ERROR(worker->WriteLine(text));
  Sample sum;
  for (size_t i = 0; i < workers_.size(); ++i) {
    KVS_ASSIGN_OR_RETURN(const Line line, Answer(i, kAnswerTimeoutS + 10 * expected_s));
    KVS_ASSIGN_OR_RETURN(const Sample one, SampleFromLine(line));
    if (i == 0) {
      sum = one;  // every worker takes part in every operation, and sees the same servers
      continue;
    }
    sum.seconds = std::max(sum.seconds, one.seconds);
    sum.payload_bytes += one.payload_bytes;
    sum.client_cpu_s += one.client_cpu_s;
    sum.client_bytes.moved += one.client_bytes.moved;
    sum.client_bytes.copied += one.client_bytes.copied;
  }
  return sum;
}

absl::Status WorkerGroup::Finish() {
  // All at once: the last barrier needs everybody.
  for (const auto& worker : workers_) worker->CloseInput();
  absl::Status status;
  for (const auto& worker : workers_) status.Update(worker->AwaitEnd(kEndTimeoutS));
  return status;
}

}  // namespace kvstore::bench
