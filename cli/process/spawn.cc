#include "cli/process/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"

namespace kvstore {
namespace {

absl::Status StartError(const std::string& program, int error) {
  const std::string message = fmt::format("cannot start '{}': {}", program, strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  if (error == EACCES) return absl::PermissionDeniedError(message);
  return absl::UnavailableError(message);
}

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;

  bool Open() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return false;
    read_end = Descriptor(fds[0]);
    write_end = Descriptor(fds[1]);
    return true;
  }
};

// Pointers for exec into strings that outlive it.
std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
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

// All that the child needs, made before the fork: after it only system calls are allowed.
struct ChildPlan {
  char* const* argv;
  char* const* env;
  pid_t parent;
  const cpu_set_t* cpus;  // or null
  int input;              // or -1
  int output;
  int error;
  int exec_error;  // errno of a failed exec goes there
};

[[noreturn]] void RunChild(const ChildPlan& plan) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.parent) _exit(127);  // the parent died before the line above
  if (plan.cpus != nullptr) sched_setaffinity(0, sizeof *plan.cpus, plan.cpus);  // as far as it may
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  dup2(plan.input >= 0 ? plan.input : open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
  dup2(plan.output, STDOUT_FILENO);
  dup2(plan.error, STDERR_FILENO);
  execvpe(plan.argv[0], plan.argv, plan.env);
  const int error = errno;
  [[maybe_unused]] const ssize_t n = write(plan.exec_error, &error, sizeof error);
  _exit(127);
}

}  // namespace

absl::StatusOr<SpawnedProcess> Spawn(const ProcessSpec& spec) {
  KVS_CHECK(!spec.command.empty());
  std::vector<std::string> command = spec.command;
  std::vector<std::string> environment = ChangedEnvironment(spec.environment);
  const std::vector<char*> argv = Pointers(command);
  const std::vector<char*> env = Pointers(environment);
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (const int cpu : spec.cpus) CPU_SET(static_cast<size_t>(cpu), &cpus);

  Pipe input;
  Pipe output;
  Pipe error;
  Pipe exec_error;
  if ((spec.has_input && !input.Open()) || !output.Open() || !error.Open() || !exec_error.Open()) {
    return StartError(command[0], errno);
  }
  const ChildPlan plan{argv.data(),
                       env.data(),
                       getpid(),
                       spec.cpus.empty() ? nullptr : &cpus,
                       input.read_end.get(),
                       output.write_end.get(),
                       error.write_end.get(),
                       exec_error.write_end.get()};
  const pid_t pid = fork();
  if (pid == 0) RunChild(plan);
  if (pid < 0) return StartError(command[0], errno);
  setpgid(pid, pid);  // the child does it too; whoever comes first
  exec_error.write_end = Descriptor();
  int exec_errno = 0;
  ssize_t got = 0;
  do {
    got = read(exec_error.read_end.get(), &exec_errno, sizeof exec_errno);
  } while (got < 0 && errno == EINTR);
  if (got != 0) {  // a successful exec closes the pipe: nothing to read
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return StartError(command[0], exec_errno);
  }
  for (const int fd : {input.write_end.get(), output.read_end.get(), error.read_end.get()}) {
    if (fd >= 0) fcntl(fd, F_SETFL, O_NONBLOCK);
  }
  return SpawnedProcess{pid, input.write_end.Release(), output.read_end.Release(),
                        error.read_end.Release()};
}

}  // namespace kvstore
