#include "cli/process/guardian.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace kvstore {
namespace {

// What is told: a group to guard, the negative of one to forget, or this.
constexpr pid_t kDismissed = 0;

// The guardian's life. Never returns.
[[noreturn]] void Watch(int pipe_fd) {
  // Out of reach of the terminal's signals, and of those that end our parent.
  setsid();
  prctl(PR_SET_NAME, "kvs-guardian");
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  // Keeps nobody's pipes open.
  close_range(0, static_cast<unsigned>(pipe_fd) - 1, 0);
  close_range(static_cast<unsigned>(pipe_fd) + 1, ~0u, 0);

  std::vector<pid_t> groups;
  pid_t word = 0;
  while (true) {
    // A word is written at once and is far below PIPE_BUF: it arrives whole.
    const ssize_t n = read(pipe_fd, &word, sizeof word);
    if (n == 0) break;  // the parent died
    if (n != sizeof word) continue;
    if (word == kDismissed) _exit(0);
    if (word > 0) {
      groups.push_back(word);
    } else {
      groups.erase(std::remove(groups.begin(), groups.end(), -word), groups.end());
    }
  }
  for (const pid_t pgid : groups) kill(-pgid, SIGKILL);
  _exit(0);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Guardian>> Guardian::Start() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::UnavailableError(fmt::format("no pipe for the guardian: {}", strerror(errno)));
  }
  const pid_t pid = fork();
  if (pid < 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    return absl::UnavailableError(fmt::format("no process for the guardian: {}", strerror(error)));
  }
  if (pid == 0) Watch(ends[0]);
  close(ends[0]);
  return std::unique_ptr<Guardian>(new Guardian(pid, ends[1]));
}

Guardian::~Guardian() {
  Tell(kDismissed);
  close(pipe_fd_);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Guardian::Tell(pid_t word) {
  while (write(pipe_fd_, &word, sizeof word) < 0 && errno == EINTR) {
  }
}

}  // namespace kvstore
