// Supervisor: runs the processes of a job and tells, one event at a time, what they print and how
// they end. No threads, no waiting but in one poll().
//
//   each child   is leader of a process group of its own (what it starts belongs to it),
//                gets SIGKILL when kvctl dies, reads from /dev/null, prints into two pipes
//   its end      is seen with waitid(WNOWAIT): the zombie stays until Close(), so the group's id
//                cannot be taken by a stranger before the rest of the group is killed
//   kvctl's end  however it comes, ends every group: by Close(), else by the guardian
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/guardian.h"

namespace kvstore {

struct ProcessSpec {
  std::string name;                  // "worker 0"
  std::vector<std::string> command;  // program (found in PATH) and arguments
  // Changes to kvctl's own environment: a value, or nothing to take the variable out.
  std::map<std::string, std::optional<std::string>> environment;
};

// How a process ended.
struct ProcessEnd {
  bool by_signal = false;
  int number = 0;  // exit code, or signal

  bool ok() const { return !by_signal && number == 0; }
  // As shells have it: 128 + signal.
  int ExitCode() const { return by_signal ? 128 + number : number; }
  // "exit code 3", "killed by SIGSEGV".
  std::string ToString() const;
};

using ProcessIndex = size_t;  // counts the processes in the order of their start

struct SupervisorEvent {
  enum Kind { kLine, kEnd, kSignal, kTimeout };
  Kind kind = kTimeout;
  ProcessIndex process = 0;  // kLine, kEnd
  bool is_stderr = false;    // kLine
  std::string line;          // kLine, without the newline
  ProcessEnd end;            // kEnd
  int signal = 0;            // kSignal: SIGINT, SIGTERM or SIGHUP came to kvctl
};

// Thread-compatible; one per program, made before any thread.
class Supervisor {
 public:
  // Blocks SIGINT, SIGTERM, SIGHUP and SIGCHLD in this process until it ends.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Create();
  ~Supervisor();  // Close()

  // Errors: NOT_FOUND, PERMISSION_DENIED and others name the program and why it did not start.
  absl::StatusOr<ProcessIndex> Start(const ProcessSpec& spec);

  // The next event; kTimeout at `deadline_ms` of SteadyNowMs(). All that a process printed comes
  // before its kEnd, but for what those print that it started and left behind.
  SupervisorEvent Next(int64_t deadline_ms);

  const std::string& name(ProcessIndex process) const { return processes_[process].name; }
  // Unset until Next() told of it.
  const std::optional<ProcessEnd>& end(ProcessIndex process) const {
    return processes_[process].end;
  }
  size_t process_count() const { return processes_.size(); }
  bool any_running() const;
  // To the whole group of every process that has not ended.
  void SignalAll(int signal);

  // Kills every group and reaps every child. Idempotent.
  void Close();

 private:
  struct Stream {
    int fd = -1;
    std::string partial;  // a line that has no end yet
  };
  struct Process {
    std::string name;
    pid_t pid = 0;
    Stream streams[2];  // stdout, stderr
    bool end_seen = false;
    std::optional<ProcessEnd> end;  // once told
  };

  Supervisor(int signal_fd, std::unique_ptr<Guardian> guardian)
      : signal_fd_(signal_fd), guardian_(std::move(guardian)) {}
  void ReadStream(ProcessIndex process, bool is_stderr, size_t bytes_max);
  void ReadSignals();
  void LookForEnd(ProcessIndex process);

  const int signal_fd_;
  std::unique_ptr<Guardian> guardian_;
  std::vector<Process> processes_;
  std::deque<SupervisorEvent> events_;
  bool closed_ = false;
};

}  // namespace kvstore
