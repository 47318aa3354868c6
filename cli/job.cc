#include "cli/job.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "cli/ask.h"
#include "cli/cluster_ask.h"
#include "cli/daemon_line.h"
#include "common/base/status_macros.h"
#include "common/config/setting_table.h"
#include "common/transport/host_port.h"
#include "common/transport/transport.h"

namespace kvstore {
namespace {

constexpr const char* kAnnouncement = "kvscheduler listening on ";
constexpr int64_t kSchedulerStartMs = 20000;
constexpr int64_t kSchedulerAnswerMs = 3000;

int ExitCodeOf(const absl::Status& status) {
  if (absl::IsNotFound(status)) return 127;  // as shells say it: no such program
  if (absl::IsPermissionDenied(status)) return 126;
  return 1;
}

}  // namespace

Job::Job(JobOptions options, Supervisor* supervisor, Printer* printer)
    : options_(std::move(options)), supervisor_(supervisor), printer_(printer) {}

int Job::Run() {
  const absl::Status started = StartAll();
  // A process that ended before the others were started was reported already.
  if (!started.ok() && !failed_ && interrupts_ == 0) {
    Fail(std::string(started.message()), ExitCodeOf(started));
  }
  if (started.ok()) Watch();
  EndAll();
  supervisor_->Close();
  return failed_.value_or(0);
}

absl::Status Job::StartAll() {
  const std::string scale = fmt::format("{}", options_.time_scale);
  KVS_RETURN_IF_ERROR(StartMember(Role::kScheduler, 0,
                                  {Daemon("kvscheduler"), "--listen", "127.0.0.1:0", "--workers",
                                   std::to_string(options_.workers), "--servers",
                                   std::to_string(options_.servers), "--time-scale", scale}));
  KVS_RETURN_IF_ERROR(AwaitScheduler());
  for (uint32_t rank = 0; rank < options_.servers; ++rank) {
    std::vector<std::string> command = {Daemon("kvstored"),   "--scheduler",  scheduler_address_,
                                        "--listen",           "127.0.0.1:0",  "--rank",
                                        std::to_string(rank), "--time-scale", scale};
    if (!options_.server_program.empty()) {
      command = {options_.server_program};
    } else if (options_.shards > 0) {
      command.insert(command.end(), {"--shards", std::to_string(options_.shards)});
    }
    KVS_RETURN_IF_ERROR(StartMember(Role::kServer, rank, std::move(command)));
  }
  for (uint32_t rank = 0; rank < options_.workers; ++rank) {
    KVS_RETURN_IF_ERROR(StartMember(Role::kWorker, rank, options_.program));
  }
  printer_->Note(fmt::format("scheduler {}, {} servers, {} workers", scheduler_address_,
                             options_.servers, options_.workers));
  return absl::OkStatus();
}

absl::Status Job::StartMember(Role role, uint32_t rank, std::vector<std::string> command) {
  ProcessSpec spec;
  spec.command = std::move(command);
  const std::string role_name = role == Role::kScheduler ? "scheduler"
                                : role == Role::kServer  ? "server"
                                                         : "worker";
  spec.name = role == Role::kScheduler ? role_name : fmt::format("{} {}", role_name, rank);
  auto& environment = spec.environment;
  // What would tell it of another cluster, or of another place in this one.
  for (const std::string& variable : PlaceVariables()) environment[variable] = std::nullopt;
  if (!options_.tls_dir.empty()) environment["KVSTORE_TLS_DIR"] = options_.tls_dir;
  environment["KVSTORE_ROLE"] = environment["DMLC_ROLE"] = role_name;
  const bool program = role == Role::kServer && !options_.server_program.empty();
  if (role == Role::kWorker || program) {
    KVS_ASSIGN_OR_RETURN(const HostPort scheduler, ParseHostPort(scheduler_address_));
    environment["KVSTORE_SCHEDULER"] = scheduler_address_;
    environment["KVSTORE_TIME_SCALE"] = fmt::format("{}", options_.time_scale);
    environment["DMLC_PS_ROOT_URI"] = scheduler.host;
    environment["DMLC_PS_ROOT_PORT"] = std::to_string(scheduler.port);
    environment["KVSTORE_NUM_WORKERS"] = environment["DMLC_NUM_WORKER"] =
        std::to_string(options_.workers);
    environment["KVSTORE_NUM_SERVERS"] = environment["DMLC_NUM_SERVER"] =
        std::to_string(options_.servers);
  }
  if (role == Role::kWorker) {
    environment["KVSTORE_RANK"] = environment["DMLC_WORKER_ID"] = std::to_string(rank);
  }
  if (program) {
    environment["KVSTORE_SERVER_RANK"] = std::to_string(rank);
    environment["KVSTORE_LISTEN"] = "127.0.0.1:0";
    if (options_.shards > 0) environment["KVSTORE_SHARDS"] = std::to_string(options_.shards);
  }
  Member member;
  member.role = role;
  member.program = spec.command[0];
  if (!options_.log_dir.empty()) {
    const std::string path = LogPath(spec.name);
    member.log.reset(std::fopen(path.c_str(), "we"));
    if (member.log == nullptr) {
      return absl::FailedPreconditionError(
          fmt::format("cannot write the log '{}': {}", path, strerror(errno)));
    }
    setvbuf(member.log.get(), nullptr, _IOLBF, BUFSIZ);
  }
  const absl::Status started = supervisor_->Start(spec).status();
  if (!started.ok()) {
    const char* where =
        role == Role::kWorker || program ? "" : " (looked for beside kvctl and in PATH)";
    return absl::Status(started.code(),
                        fmt::format("{}: {}{}", spec.name, std::string(started.message()), where));
  }
  members_.push_back(std::move(member));
  return absl::OkStatus();
}

absl::Status Job::AwaitScheduler() {
  const int64_t deadline = DeadlineIn(kSchedulerStartMs);
  while (scheduler_address_.empty()) {
    if (failed_ || interrupts_ > 0) return absl::CancelledError("ended while starting");
    if (supervisor_->end(0)) {
      return absl::UnavailableError("the scheduler ended before it said where it listens");
    }
    if (!Pump(deadline)) {
      return absl::DeadlineExceededError(
          fmt::format("the scheduler did not say '{}HOST:PORT' within {}", kAnnouncement,
                      DurationText(static_cast<uint64_t>(kSchedulerStartMs))));
    }
  }
  return absl::OkStatus();
}

void Job::Watch() {
  while (!failed_ && interrupts_ == 0 && WorkersRunning()) Pump(INT64_MAX);
  if (!failed_ || options_.linger_ms == 0) return;
  // The others may still say what they saw.
  const int64_t deadline = DeadlineIn(options_.linger_ms);
  while (interrupts_ == 0 && WorkersRunning() && Pump(deadline)) {
  }
}

void Job::EndAll() {
  ending_ = true;
  supervisor_->SignalAll(SIGTERM);
  const int64_t deadline = DeadlineIn(options_.grace_ms);
  const int interrupts = interrupts_;
  // A second Ctrl-C does not wait.
  while (supervisor_->any_running() && interrupts_ == interrupts && Pump(deadline)) {
  }
  for (ProcessIndex p = 0; p < members_.size(); ++p) {
    if (!supervisor_->end(p)) {
      printer_->Error(fmt::format("{} did not end on SIGTERM: killed", supervisor_->name(p)));
    }
  }
  supervisor_->SignalAll(SIGKILL);
  while (supervisor_->any_running()) Pump(INT64_MAX);
  while (Pump(0)) {
    // The last words.
  }
}

bool Job::Pump(int64_t deadline_ms) {
  const SupervisorEvent event = supervisor_->Next(deadline_ms);
  switch (event.kind) {
    case SupervisorEvent::kLine:
      OnLine(event);
      return true;
    case SupervisorEvent::kEnd:
      OnEnd(event.process);
      return true;
    case SupervisorEvent::kSignal:
      ++interrupts_;
      if (!failed_) {
        Fail(fmt::format("SIG{}: ending {} workers, {} servers and the scheduler",
                         sigabbrev_np(event.signal), options_.workers, options_.servers),
             128 + event.signal);
      }
      return true;
    case SupervisorEvent::kTimeout:
      break;
  }
  return false;
}

void Job::OnLine(const SupervisorEvent& event) {
  const Member& member = members_[event.process];
  if (member.role == Role::kScheduler && event.line.rfind(kAnnouncement, 0) == 0) {
    scheduler_address_ = event.line.substr(strlen(kAnnouncement));
  }
  if (member.log != nullptr) std::fprintf(member.log.get(), "%s\n", event.line.c_str());
  if (member.role == Role::kWorker || options_.verbose) {
    printer_->ProcessLine(event.process, supervisor_->name(event.process), event.is_stderr,
                          event.line);
  } else if (member.log == nullptr) {
    ShowDaemonLine(event, member.role);
  }
}

// The terminal belongs to the workers: of the daemons it gets what matters, once.
void Job::ShowDaemonLine(const SupervisorEvent& event, Role role) {
  const DaemonLine line = ReadDaemonLine(role == Role::kScheduler, event.line);
  const char* mark = "";
  switch (line.kind) {
    case DaemonLineKind::kDetail:
      return;
    case DaemonLineKind::kEvent:
      break;
    case DaemonLineKind::kWarning:
      // While we end the processes ourselves, their ends are no news.
      if (ending_) return;
      mark = "warning: ";
      break;
    case DaemonLineKind::kError:
      mark = "error: ";
      break;
    case DaemonLineKind::kOther:
      break;
  }
  printer_->ProcessLine(event.process, supervisor_->name(event.process), event.is_stderr,
                        mark + std::string(line.text));
}

void Job::OnEnd(ProcessIndex process) {
  const ProcessEnd end = *supervisor_->end(process);
  const Member& member = members_[process];
  if (failed_) return;
  if (ending_ && end.by_signal && (end.number == SIGTERM || end.number == SIGKILL)) return;
  std::string why = end.ToString();
  if (end.ok()) {
    if (ending_ || member.role == Role::kWorker) return;
    why = WhyTooEarly(member);
    if (why.empty()) return;
  }
  std::string what = fmt::format("{} failed: {}", supervisor_->name(process), why);
  if (member.log != nullptr) {
    what += fmt::format(" (its output: {})", LogPath(supervisor_->name(process)));
  }
  Fail(what, end.ok() ? 1 : end.ExitCode());
}

std::string Job::WhyTooEarly(const Member& daemon) const {
  if (daemon.role == Role::kScheduler) {
    // A scheduler that ends before it listens is reported by AwaitScheduler().
    return scheduler_address_.empty() ? "" : "exit code 0 before the job was over";
  }
  const ClusterAsk ask{scheduler_address_, Scaled(kSchedulerAnswerMs), options_.tls_dir};
  const auto cluster = [&]() -> absl::StatusOr<v1::ClusterStatus> {
    KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(ask));
    return AskScheduler(*transport, ask.scheduler, ask.timeout_ms);
  }();
  // A scheduler that does not answer has troubles of its own, which are told.
  if (!cluster.ok() || (cluster->state() != "forming" && cluster->state() != "running")) return "";
  return fmt::format(
      "'{}' returned 0 while the job was {}; a server program calls RunServer, which "
      "serves until the job is over",
      daemon.program, cluster->state());
}

void Job::Fail(const std::string& what, int exit_code) {
  failed_ = exit_code;
  printer_->Error(what);
}

bool Job::WorkersRunning() const {
  for (ProcessIndex p = 0; p < members_.size(); ++p) {
    if (members_[p].role == Role::kWorker && !supervisor_->end(p)) return true;
  }
  return false;
}

std::string Job::LogPath(const std::string& name) const {
  std::string file = name;
  std::replace(file.begin(), file.end(), ' ', '-');
  return options_.log_dir + "/" + file + ".log";
}

std::string Job::Daemon(const std::string& name) const {
  const std::string beside = options_.daemon_dir + "/" + name;
  return access(beside.c_str(), X_OK) == 0 ? beside : name;
}

int64_t Job::Scaled(int64_t ms) const {
  return static_cast<int64_t>(static_cast<double>(ms) * options_.time_scale);
}

int64_t Job::DeadlineIn(int64_t ms) const { return SteadyNowMs() + Scaled(ms); }

}  // namespace kvstore
