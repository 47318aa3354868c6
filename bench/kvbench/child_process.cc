#include "bench/kvbench/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "bench/kvbench/interrupt.h"

namespace kvstore::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kLogTailBytes = 2000;

absl::Status Interruption() { return absl::CancelledError("interrupted"); }

std::string TailOf(const std::string& path) {
  std::ifstream file(path);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (text.size() > kLogTailBytes) text.erase(0, text.size() - kLogTailBytes);
  return text;
}

void CloseFd(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

// What a child needs, prepared before the fork: after it only system calls are allowed.
class ExecPlan {
 public:
  explicit ExecPlan(const ChildOptions& options) : cores_(options.cores) {
    for (const std::string& word : options.command) words_.push_back(word);
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text = *entry;
      if (options.environment.count(text.substr(0, text.find('='))) == 0) {
        variables_.push_back(text);
      }
    }
    for (const auto& [name, value] : options.environment) variables_.push_back(name + "=" + value);
    argv_ = Pointers(&words_);
    envp_ = Pointers(&variables_);
  }

  // In the child. Returns only if the program could not be started.
  void Exec(pid_t parent, int input, int output, int error) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);  // it died before the line above
    RunOn(cores_);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    if (error >= 0) dup2(error, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    execve(argv_[0], argv_.data(), envp_.data());
  }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>* texts) {
    std::vector<char*> pointers;
    for (std::string& text : *texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  }

  const Cores cores_;
  std::vector<std::string> words_;
  std::vector<std::string> variables_;
  std::vector<char*> argv_;
  std::vector<char*> envp_;
};

// poll() for readability of `fds` until `deadline`; the revents are set. Returns false at the
// deadline.
absl::StatusOr<bool> PollUntil(Clock::time_point deadline, std::vector<pollfd>* fds) {
  for (;;) {
    if (Interrupted()) return Interruption();
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    const int ready = poll(fds->data(), fds->size(), static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready > 0) return true;
    if (ready == 0 && left <= 0) return false;
    if (ready < 0 && errno != EINTR) {
      return absl::InternalError(fmt::format("poll: {}", std::strerror(errno)));
    }
  }
}

Clock::time_point After(double seconds) {
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const ChildOptions& options) {
  std::unique_ptr<ChildProcess> child(new ChildProcess(options));
  auto failed = [&](const char* what) {
    return absl::UnavailableError(fmt::format("{}: {} ({}): {}", options.name, what,
                                              options.command[0], std::strerror(errno)));
  };
  if (access(options.command[0].c_str(), X_OK) != 0) return failed("no such program");

  int input[2] = {-1, -1};
  int output[2] = {-1, -1};
  if (pipe2(input, O_CLOEXEC) != 0) return failed("pipe");
  child->input_fd_ = input[1];
  if (pipe2(output, O_CLOEXEC) != 0) {
    close(input[0]);
    return failed("pipe");
  }
  child->output_fd_ = output[0];
  int error = -1;
  if (!options.log_file.empty()) {
    error = open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  }

  ExecPlan plan(options);
  const pid_t parent = getpid();
  child->pid_ = fork();
  if (child->pid_ == 0) {
    plan.Exec(parent, input[0], options.answers || error < 0 ? output[1] : error, error);
    _exit(127);
  }
  close(input[0]);
  close(output[1]);
  if (error >= 0) close(error);
  if (child->pid_ < 0) return failed("fork");
  // Not pidfd_open(): glibc 2.36 declares it without extern "C".
  child->process_fd_ = static_cast<int>(syscall(SYS_pidfd_open, child->pid_, 0));
  if (child->process_fd_ < 0) return failed("pidfd_open");
  return child;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !joined_) {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  CloseFd(&process_fd_);
  CloseFd(&input_fd_);
  CloseFd(&output_fd_);
}

absl::Status ChildProcess::Gone() const {
  std::string how = "is gone";
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT | WNOHANG) == 0 &&
      info.si_pid == pid_) {
    how = info.si_code == CLD_EXITED ? fmt::format("ended with status {}", info.si_status)
                                     : fmt::format("was ended by signal {}", info.si_status);
  }
  const std::string tail = options_.log_file.empty() ? "" : TailOf(options_.log_file);
  return absl::UnavailableError(fmt::format("{} {}{}{}", options_.name, how,
                                            tail.empty() ? "" : "; the end of its log:\n", tail));
}

absl::Status ChildProcess::WriteLine(const std::string& line) {
  const std::string text = line + "\n";
  size_t sent = 0;
  while (sent < text.size()) {
    if (Interrupted()) return Interruption();
    const ssize_t written = write(input_fd_, text.data() + sent, text.size() - sent);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Gone();
    sent += static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ChildProcess::ReadLine(double timeout_s,
                                                   const std::vector<const ChildProcess*>& others) {
  const Clock::time_point deadline = After(timeout_s);
  for (;;) {
    const size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    std::vector<pollfd> fds = {{output_fd_, POLLIN, 0}};
    for (const ChildProcess* other : others) fds.push_back({other->process_fd_, POLLIN, 0});
    absl::StatusOr<bool> ready = PollUntil(deadline, &fds);
    if (!ready.ok()) return ready.status();
    if (!*ready) {
      return absl::DeadlineExceededError(
          fmt::format("{}: a line expected within {:g} s, got none", options_.name, timeout_s));
    }
    if (fds[0].revents == 0) {
      for (size_t i = 0; i < others.size(); ++i) {
        if (fds[i + 1].revents != 0) return others[i]->Gone();
      }
      continue;
    }
    char buffer[4096];
    const ssize_t count = read(output_fd_, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      // Closed: wait for the end to be able to say how.
      std::vector<pollfd> process = {{process_fd_, POLLIN, 0}};
      if (absl::StatusOr<bool> over = PollUntil(After(1), &process); !over.ok()) {
        return over.status();
      }
      return Gone();
    }
    received_.append(buffer, static_cast<size_t>(count));
  }
}

absl::Status ChildProcess::Join(double timeout_s) {
  if (joined_) return absl::OkStatus();
  std::vector<pollfd> fds = {{process_fd_, POLLIN, 0}};
  // Not PollUntil: Ctrl-C must not keep a child from being waited for.
  const Clock::time_point deadline = After(timeout_s);
  bool ended = false;
  while (!ended && Clock::now() < deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    ended = poll(fds.data(), fds.size(), static_cast<int>(left) + 1) > 0;
  }
  if (!ended) kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  joined_ = true;
  if (!ended) {
    return absl::InternalError(fmt::format("{}: an end within {:g} s expected; it had to be killed",
                                           options_.name, timeout_s));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(
      WIFEXITED(status)
          ? fmt::format("{}: exit status 0 expected, got {}", options_.name, WEXITSTATUS(status))
          : fmt::format("{}: exit status 0 expected, ended by signal {}", options_.name,
                        WTERMSIG(status)));
}

absl::Status ChildProcess::Terminate(double timeout_s) {
  if (joined_) return absl::OkStatus();
  kill(pid_, SIGTERM);
  return Join(timeout_s);
}

void ChildProcess::CloseInput() { CloseFd(&input_fd_); }

}  // namespace kvstore::bench
