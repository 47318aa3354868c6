#include "cli/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/check.h"
#include "common/transport/transport.h"

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

absl::Status StartError(const std::string& program, int error) {
  const std::string message = fmt::format("cannot start '{}': {}", program, strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  if (error == EACCES) return absl::PermissionDeniedError(message);
  return absl::UnavailableError(message);
}

// Pointers for exec into strings that outlive it.
std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> ChangedEnvironment(
    const std::map<std::string, std::optional<std::string>>& changes) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (changes.count(text.substr(0, text.find('='))) == 0) environment.push_back(text);
  }
  for (const auto& [name, value] : changes) {
    if (value.has_value()) environment.push_back(name + "=" + *value);
  }
  return environment;
}

// In the child. Writes errno to `error_fd` and exits if the program cannot be started.
[[noreturn]] void RunChild(char* const* argv, char* const* env, pid_t parent, int out, int err,
                           int error_fd) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // kvctl died before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execvpe(argv[0], argv, env);
  const int error = errno;
  [[maybe_unused]] const ssize_t n = write(error_fd, &error, sizeof error);
  _exit(127);
}

}  // namespace

std::string ProcessEnd::ToString() const {
  if (!by_signal) return fmt::format("exit code {}", number);
  const char* name = sigabbrev_np(number);
  return name != nullptr ? fmt::format("killed by SIG{}", name)
                         : fmt::format("killed by signal {}", number);
}

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Create() {
  // 0, 1 and 2 must not become pipes of ours if kvctl was started without them.
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
  KVS_CHECK(!spec.command.empty() && !closed_);
  std::vector<std::string> command = spec.command;
  std::vector<std::string> environment = ChangedEnvironment(spec.environment);
  const std::vector<char*> argv = Pointers(command);
  const std::vector<char*> env = Pointers(environment);

  int pipes[3][2];  // stdout, stderr, errno of a failed exec
  for (int i = 0; i < 3; ++i) {
    if (pipe2(pipes[i], O_CLOEXEC) != 0) {
      const int error = errno;
      while (i-- > 0) close(pipes[i][0]), close(pipes[i][1]);
      return StartError(command[0], error);
    }
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) RunChild(argv.data(), env.data(), parent, pipes[0][1], pipes[1][1], pipes[2][1]);
  int error = errno;
  for (auto& pipe : pipes) close(pipe[1]);
  bool started = false;
  if (pid > 0) {
    setpgid(pid, pid);  // the child does it too; whoever comes first
    started = read(pipes[2][0], &error, sizeof error) == 0;  // closed by a successful exec
    if (started) guardian_->Guard(pid);
  }
  close(pipes[2][0]);
  if (!started) {
    close(pipes[0][0]);
    close(pipes[1][0]);
    if (pid > 0) waitpid(pid, nullptr, 0);
    return StartError(command[0], error);
  }
  Process process;
  process.name = spec.name;
  process.pid = pid;
  for (int i = 0; i < 2; ++i) {
    fcntl(pipes[i][0], F_SETFL, O_NONBLOCK);
    process.streams[i].fd = pipes[i][0];
  }
  processes_.push_back(std::move(process));
  return processes_.size() - 1;
}

SupervisorEvent Supervisor::Next(int64_t deadline_ms) {
  while (events_.empty()) {
    std::vector<pollfd> fds = {{signal_fd_, POLLIN, 0}};
    std::vector<std::pair<ProcessIndex, bool>> sources;
    for (ProcessIndex p = 0; p < processes_.size(); ++p) {
      for (const bool is_stderr : {false, true}) {
        if (processes_[p].streams[is_stderr].fd < 0) continue;
        fds.push_back({processes_[p].streams[is_stderr].fd, POLLIN, 0});
        sources.emplace_back(p, is_stderr);
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
  if (event.kind == SupervisorEvent::kEnd) processes_[event.process].end = event.end;
  return event;
}

// Takes what is there, up to about `bytes_max`, without blocking, and cuts it into lines.
void Supervisor::ReadStream(ProcessIndex process, bool is_stderr, size_t bytes_max) {
  Stream& stream = processes_[process].streams[is_stderr];
  const auto emit = [&](std::string line) {
    SupervisorEvent event;
    event.kind = SupervisorEvent::kLine;
    event.process = process;
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
      for (ProcessIndex p = 0; p < processes_.size(); ++p) {
        if (processes_[p].pid == static_cast<pid_t>(info.ssi_pid)) LookForEnd(p);
      }
      for (ProcessIndex p = 0; p < processes_.size(); ++p) LookForEnd(p);
      continue;
    }
    SupervisorEvent event;
    event.kind = SupervisorEvent::kSignal;
    event.signal = static_cast<int>(info.ssi_signo);
    events_.push_back(event);
  }
}

void Supervisor::LookForEnd(ProcessIndex p) {
  Process& process = processes_[p];
  if (process.end_seen) return;
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(process.pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid == 0) {
    return;
  }
  process.end_seen = true;
  for (const bool is_stderr : {false, true}) ReadStream(p, is_stderr, kPipeBytesMax);
  SupervisorEvent event;
  event.kind = SupervisorEvent::kEnd;
  event.process = p;
  event.end = ProcessEnd{info.si_code != CLD_EXITED, info.si_status};
  events_.push_back(event);
}

bool Supervisor::any_running() const {
  return std::any_of(processes_.begin(), processes_.end(),
                     [](const Process& process) { return !process.end.has_value(); });
}

void Supervisor::SignalAll(int signal) {
  for (const Process& process : processes_) {
    if (process.end.has_value()) continue;
    kill(-process.pid, signal);
    kill(-process.pid, SIGCONT);  // a stopped process takes its signals too
  }
}

void Supervisor::Close() {
  if (std::exchange(closed_, true)) return;
  for (Process& process : processes_) {
    kill(-process.pid, SIGKILL);
    while (waitpid(process.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    for (Stream& stream : process.streams) {
      if (stream.fd >= 0) close(stream.fd);
    }
  }
  guardian_.reset();
}

}  // namespace kvstore
