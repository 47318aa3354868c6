#include "cli/process/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cli/process/spawn.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

constexpr size_t kLineBytesMax = 64u << 10;  // a longer line is cut in two
// Per turn: one process that never stops printing must not keep the others waiting.
constexpr size_t kTurnBytesMax = 64u << 10;
// What a pipe can hold at most: all that a process left in it.
constexpr size_t kPipeBytesMax = 1u << 20;

sigset_t HandledSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Create() {
  // 0, 1 and 2 must not become pipes of ours if we were started without them.
  int null = open("/dev/null", O_RDWR);
  while (null >= 0 && null <= STDERR_FILENO) null = open("/dev/null", O_RDWR);
  close(null);
  auto guardian = Guardian::Start();
  if (!guardian.ok()) return guardian.status();
  const sigset_t handled = HandledSignals();
  sigprocmask(SIG_BLOCK, &handled, nullptr);
  // A reader of our output that goes away is an error of that write, not our death.
  signal(SIGPIPE, SIG_IGN);
  const int fd = signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) return absl::UnavailableError(fmt::format("no signalfd: {}", strerror(errno)));
  return std::unique_ptr<Supervisor>(new Supervisor(fd, std::move(guardian).value()));
}

Supervisor::~Supervisor() {
  Close();
  close(signal_fd_);
}

absl::StatusOr<ProcessIndex> Supervisor::Start(const ProcessSpec& spec) {
  KVS_CHECK(!closed_);
  KVS_ASSIGN_OR_RETURN(const SpawnedProcess spawned, Spawn(spec));
  guardian_->Guard(spawned.pid);
  Process& process = processes_[next_index_];
  process.name = spec.name;
  process.pid = spawned.pid;
  process.input_fd = spawned.input_fd;
  process.streams[0].fd = spawned.output_fd;
  process.streams[1].fd = spawned.error_fd;
  return next_index_++;
}

SupervisorEvent Supervisor::Next(int64_t deadline_ms) {
  while (events_.empty()) {
    std::vector<pollfd> fds = {{signal_fd_, POLLIN, 0}};
    std::vector<std::pair<ProcessIndex, bool>> sources;
    for (const auto& [index, process] : processes_) {
      for (const bool is_stderr : {false, true}) {
        if (process.streams[is_stderr].fd < 0) continue;
        fds.push_back({process.streams[is_stderr].fd, POLLIN, 0});
        sources.emplace_back(index, is_stderr);
      }
    }
    const int64_t left = std::clamp<int64_t>(deadline_ms - SteadyNowMs(), 0, int64_t{3600} * 1000);
    const int ready = poll(fds.data(), fds.size(), static_cast<int>(left));
    if (ready < 0) {
      KVS_CHECK(errno == EINTR);
      continue;
    }
    for (size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents != 0) {
        ReadStream(sources[i - 1].first, sources[i - 1].second, kTurnBytesMax);
      }
    }
    if (fds[0].revents != 0) ReadSignals();
    if (ready == 0 && SteadyNowMs() >= deadline_ms) return {};
  }
  SupervisorEvent event = std::move(events_.front());
  events_.pop_front();
  if (event.kind == SupervisorEvent::kEnd) processes_.at(event.process).end = event.end;
  return event;
}

// Takes what is there, up to about `bytes_max`, without blocking, and cuts it into lines.
void Supervisor::ReadStream(ProcessIndex index, bool is_stderr, size_t bytes_max) {
  Stream& stream = processes_.at(index).streams[is_stderr];
  const auto emit = [&](std::string line) {
    SupervisorEvent event;
    event.kind = SupervisorEvent::kLine;
    event.process = index;
    event.is_stderr = is_stderr;
    event.line = std::move(line);
    events_.push_back(std::move(event));
  };
  char buffer[16 << 10];
  for (size_t taken = 0; stream.fd >= 0 && taken < bytes_max;) {
    const ssize_t n = read(stream.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;  // EAGAIN: nothing more for now
    if (n == 0) {
      if (!stream.partial.empty()) emit(std::exchange(stream.partial, {}));
      close(stream.fd);
      stream.fd = -1;
      return;
    }
    taken += static_cast<size_t>(n);
    stream.partial.append(buffer, static_cast<size_t>(n));
    size_t begin = 0;
    while (true) {
      const size_t newline = stream.partial.find('\n', begin);
      if (newline == std::string::npos) break;
      emit(stream.partial.substr(begin, newline - begin));
      begin = newline + 1;
    }
    stream.partial.erase(0, begin);
    if (stream.partial.size() >= kLineBytesMax) emit(std::exchange(stream.partial, {}));
  }
}

void Supervisor::ReadSignals() {
  signalfd_siginfo info;
  while (read(signal_fd_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) {
      // SIGCHLDs that come together are one; it tells of the child that ended first.
      for (const auto& [index, process] : processes_) {
        if (process.pid == static_cast<pid_t>(info.ssi_pid)) LookForEnd(index);
      }
      for (const auto& [index, process] : processes_) LookForEnd(index);
      continue;
    }
    SupervisorEvent event;
    event.kind = SupervisorEvent::kSignal;
    event.signal = static_cast<int>(info.ssi_signo);
    events_.push_back(event);
  }
}

void Supervisor::LookForEnd(ProcessIndex index) {
  Process& process = processes_.at(index);
  if (process.end_seen) return;
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(process.pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid == 0) {
    return;
  }
  process.end_seen = true;
  for (const bool is_stderr : {false, true}) ReadStream(index, is_stderr, kPipeBytesMax);
  SupervisorEvent event;
  event.kind = SupervisorEvent::kEnd;
  event.process = index;
  event.end = ProcessEnd{info.si_code != CLD_EXITED, info.si_status};
  events_.push_back(event);
}

absl::Status Supervisor::WriteLine(ProcessIndex index, const std::string& line) {
  const Process& process = processes_.at(index);
  KVS_CHECK(process.input_fd >= 0);
  const std::string text = line + "\n";
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t n = write(process.input_fd, text.data() + sent, text.size() - sent);
    if (n >= 0) {
      sent += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      return absl::ResourceExhaustedError(
          fmt::format("{} does not read what is written to it", process.name));
    } else if (errno != EINTR) {
      return absl::UnavailableError(
          fmt::format("{} does not read any more: {}", process.name, strerror(errno)));
    }
  }
  return absl::OkStatus();
}

void Supervisor::CloseInput(ProcessIndex index) {
  int* const fd = &processes_.at(index).input_fd;
  if (*fd >= 0) close(std::exchange(*fd, -1));
}

bool Supervisor::any_running() const {
  return std::any_of(processes_.begin(), processes_.end(),
                     [](const auto& each) { return !each.second.end.has_value(); });
}

void Supervisor::Signal(ProcessIndex index, int signal) {
  const Process& process = processes_.at(index);
  if (process.end.has_value()) return;
  kill(-process.pid, signal);
  kill(-process.pid, SIGCONT);  // a stopped process takes its signals too
}

void Supervisor::SignalAll(int signal) {
  for (const auto& [index, process] : processes_) Signal(index, signal);
}

void Supervisor::Finish(Process* process) {
  kill(-process->pid, SIGKILL);
  while (waitpid(process->pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  for (int* fd : {&process->input_fd, &process->streams[0].fd, &process->streams[1].fd}) {
    if (*fd >= 0) close(std::exchange(*fd, -1));
  }
}

void Supervisor::Release(ProcessIndex index) {
  const auto found = processes_.find(index);
  KVS_CHECK(found != processes_.end());
  if (!closed_) {
    Finish(&found->second);
    guardian_->Forget(found->second.pid);
  }
  processes_.erase(found);
  events_.erase(std::remove_if(events_.begin(), events_.end(),
                               [index](const SupervisorEvent& event) {
                                 return event.process == index &&
                                        (event.kind == SupervisorEvent::kLine ||
                                         event.kind == SupervisorEvent::kEnd);
                               }),
                events_.end());
}

void Supervisor::Close() {
  if (std::exchange(closed_, true)) return;
  for (auto& [index, process] : processes_) Finish(&process);
  guardian_.reset();
}

}  // namespace kvstore
