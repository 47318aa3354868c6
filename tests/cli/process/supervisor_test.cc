#include "cli/process/supervisor.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "tests/cli/process/make_supervisor.h"

namespace kvstore {
namespace {

constexpr int64_t kLongMs = 60000;

ProcessSpec Shell(const std::string& script) {
  ProcessSpec spec;
  spec.name = "shell";
  spec.command = {"/bin/sh", "-c", script};
  return spec;
}

SupervisorEvent Next(Supervisor& supervisor) { return supervisor.Next(SteadyNowMs() + kLongMs); }

// All lines up to the end of a process.
std::vector<std::string> LinesUntilEnd(Supervisor& supervisor, ProcessIndex process) {
  std::vector<std::string> lines;
  while (true) {
    const SupervisorEvent event = Next(supervisor);
    REQUIRE(event.kind != SupervisorEvent::kTimeout);
    if (event.kind == SupervisorEvent::kEnd && event.process == process) return lines;
    if (event.kind == SupervisorEvent::kLine) lines.push_back(event.line);
  }
}

// Waits until a process that need not be our child is gone.
bool EndsSoon(pid_t pid) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return true;
  pollfd poll_fd{fd, POLLIN, 0};
  const bool ended = poll(&poll_fd, 1, static_cast<int>(kLongMs)) == 1;
  close(fd);
  return ended;
}

TEST_CASE("all that a process printed is told before its end", "[process]") {
  const auto supervisor = MakeSupervisor();
  const ProcessIndex process = *supervisor->Start(Shell("echo a; echo b; printf c; exit 7"));
  CHECK_FALSE(supervisor->end(process).has_value());
  CHECK(supervisor->any_running());
  CHECK(LinesUntilEnd(*supervisor, process) == std::vector<std::string>{"a", "b", "c"});
  REQUIRE(supervisor->end(process).has_value());
  CHECK(supervisor->end(process)->ExitCode() == 7);
  CHECK_FALSE(supervisor->any_running());
}

TEST_CASE("the two outputs of a process are told apart", "[process]") {
  const auto supervisor = MakeSupervisor();
  REQUIRE(supervisor->Start(Shell("echo out; echo err >&2")).ok());
  for (int i = 0; i < 2; ++i) {
    const SupervisorEvent event = Next(*supervisor);
    REQUIRE(event.kind == SupervisorEvent::kLine);
    CHECK(event.line == (event.is_stderr ? "err" : "out"));
  }
}

TEST_CASE("variables are changed and taken out, the rest is ours", "[process]") {
  const auto supervisor = MakeSupervisor();
  setenv("PROCESS_TEST_KEPT", "kept", 1);
  setenv("PROCESS_TEST_OUT", "out", 1);
  ProcessSpec spec =
      Shell("echo $PROCESS_TEST_KEPT; echo ${PROCESS_TEST_OUT-unset}; echo $PROCESS_TEST_NEW");
  spec.environment = {{"PROCESS_TEST_OUT", std::nullopt}, {"PROCESS_TEST_NEW", "new"}};
  const ProcessIndex process = *supervisor->Start(spec);
  CHECK(LinesUntilEnd(*supervisor, process) == std::vector<std::string>{"kept", "unset", "new"});
}

TEST_CASE("a process without input reads nothing", "[process]") {
  const auto supervisor = MakeSupervisor();
  const ProcessIndex process = *supervisor->Start(Shell("wc -c"));
  CHECK(LinesUntilEnd(*supervisor, process) == std::vector<std::string>{"0"});
}

TEST_CASE("a process runs on the CPUs that it was given", "[process]") {
  cpu_set_t ours;
  REQUIRE(sched_getaffinity(0, sizeof ours, &ours) == 0);
  int first = 0;
  while (!CPU_ISSET(static_cast<size_t>(first), &ours)) ++first;
  const auto supervisor = MakeSupervisor();
  ProcessSpec spec = Shell("sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status");
  spec.cpus = {first};
  const ProcessIndex process = *supervisor->Start(spec);
  CHECK(LinesUntilEnd(*supervisor, process) == std::vector<std::string>{std::to_string(first)});
}

TEST_CASE("a write never blocks", "[process]") {
  const auto supervisor = MakeSupervisor();
  ProcessSpec spec = Shell("exec tail -f /dev/null");
  spec.has_input = true;
  const ProcessIndex process = *supervisor->Start(spec);
  const std::string line(1000, 'x');
  absl::Status status;
  for (int i = 0; i < 100000 && status.ok(); ++i) status = supervisor->WriteLine(process, line);
  CHECK(absl::IsResourceExhausted(status));
  CHECK(std::string(status.message()) == "shell does not read what is written to it");
}

TEST_CASE("a released process is gone with all that it started, and not told of", "[process]") {
  const auto supervisor = MakeSupervisor();
  const ProcessIndex process =
      *supervisor->Start(Shell("trap '' TERM; tail -f /dev/null & echo $!; echo more; wait"));
  const SupervisorEvent event = Next(*supervisor);
  REQUIRE(event.kind == SupervisorEvent::kLine);
  const pid_t grandchild = std::stoi(event.line);
  const pid_t pid = supervisor->pid(process);
  supervisor->Release(process);
  CHECK(kill(pid, 0) != 0);
  CHECK(EndsSoon(grandchild));
  CHECK(supervisor->Next(0).kind == SupervisorEvent::kTimeout);
  CHECK_FALSE(supervisor->any_running());
}

TEST_CASE("signals to us are events", "[process]") {
  const auto supervisor = MakeSupervisor();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    REQUIRE(kill(getpid(), signal) == 0);
    const SupervisorEvent event = Next(*supervisor);
    CHECK(event.kind == SupervisorEvent::kSignal);
    CHECK(event.signal == signal);
  }
}

TEST_CASE("a stopped process takes its signals too", "[process]") {
  const auto supervisor = MakeSupervisor();
  const ProcessIndex process =
      *supervisor->Start(Shell("echo ready; kill -STOP $$; exec tail -f /dev/null"));
  REQUIRE(Next(*supervisor).line == "ready");
  supervisor->Signal(process, SIGTERM);
  LinesUntilEnd(*supervisor, process);
  CHECK(supervisor->end(process)->ToString() == "killed by SIGTERM");
}

TEST_CASE("programs that cannot be started are told by kind", "[process]") {
  const auto supervisor = MakeSupervisor();
  ProcessSpec spec;
  spec.command = {"/no/such/program"};
  CHECK(absl::IsNotFound(supervisor->Start(spec).status()));
  spec.command = {"/dev/null"};
  const absl::Status status = supervisor->Start(spec).status();
  CHECK(absl::IsPermissionDenied(status));
  CHECK(std::string(status.message()) == "cannot start '/dev/null': Permission denied");
  CHECK_FALSE(supervisor->any_running());
}

TEST_CASE("how a process ended is said as shells do", "[process]") {
  CHECK(ProcessEnd{false, 3}.ToString() == "exit code 3");
  CHECK(ProcessEnd{false, 3}.ExitCode() == 3);
  CHECK(ProcessEnd{true, SIGSEGV}.ToString() == "killed by SIGSEGV");
  CHECK(ProcessEnd{true, SIGSEGV}.ExitCode() == 128 + SIGSEGV);
  CHECK(ProcessEnd{true, 40}.ToString() == "killed by signal 40");
  CHECK(ProcessEnd{}.ok());
}

}  // namespace
}  // namespace kvstore
