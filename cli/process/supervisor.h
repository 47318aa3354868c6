// Supervisor: runs processes and tells, one event at a time, what they print and how they end. No
// threads, no waiting but in one poll().
//
//   each child   is leader of a process group of its own (what it starts belongs to it), and gets
//                SIGKILL when we die; it prints into two pipes, and reads from a third if it wants
//   its end      is seen with waitid(WNOWAIT): the zombie stays until Release() or Close(), so the
//                group's id cannot be taken by a stranger before the rest of the group is killed
//   our end      however it comes, ends every group: by Close(), else by the guardian
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
#include "cli/process/guardian.h"
#include "cli/process/process_end.h"
#include "cli/process/process_spec.h"

namespace kvstore {

using ProcessIndex = size_t;  // counts the processes in the order of their start

struct SupervisorEvent {
  enum Kind { kLine, kEnd, kSignal, kTimeout };
  Kind kind = kTimeout;
  ProcessIndex process = 0;  // kLine, kEnd
  bool is_stderr = false;    // kLine
  std::string line;          // kLine, without the newline
  ProcessEnd end;            // kEnd
  int signal = 0;            // kSignal: SIGINT, SIGTERM or SIGHUP came to this process
};

// Thread-compatible. One per program, made before any thread; processes are started by the thread
// that made it (the kernel kills a child when the thread that started it ends).
class Supervisor {
 public:
  // Blocks SIGINT, SIGTERM, SIGHUP and SIGCHLD in this process until it ends.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Create();
  ~Supervisor();  // Close()
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Errors: NOT_FOUND, PERMISSION_DENIED and others name the program and why it did not start.
  absl::StatusOr<ProcessIndex> Start(const ProcessSpec& spec);

  // The next event; kTimeout at `deadline_ms` of SteadyNowMs(). All that a process printed comes
  // before its kEnd, but for what those print that it started and left behind.
  SupervisorEvent Next(int64_t deadline_ms);

  // Writes a line to the standard input of a process that has one. Never blocks. Errors:
  // UNAVAILABLE the process does not read any more; RESOURCE_EXHAUSTED the pipe is full of what it
  // has not read yet.
  absl::Status WriteLine(ProcessIndex process, const std::string& line);
  // Ends its standard input. Idempotent.
  void CloseInput(ProcessIndex process);

  // The name of a process that was started and not released.
  const std::string& name(ProcessIndex process) const { return processes_.at(process).name; }
  pid_t pid(ProcessIndex process) const { return processes_.at(process).pid; }
  // Unset until Next() told of it.
  const std::optional<ProcessEnd>& end(ProcessIndex process) const {
    return processes_.at(process).end;
  }
  bool any_running() const;

  // Sends the signal to the whole group of the process, if it has not ended.
  void Signal(ProcessIndex process, int signal);
  void SignalAll(int signal);

  // Kills what is left of its group, reaps it and forgets it: no event tells of it any more.
  void Release(ProcessIndex process);
  // Releases every process, and lets nobody start another one. Idempotent. How the processes ended
  // can still be asked.
  void Close();

 private:
  struct Stream {
    int fd = -1;
    std::string partial;  // a line that has no end yet
  };
  struct Process {
    std::string name;
    pid_t pid = 0;
    int input_fd = -1;
    Stream streams[2];  // stdout, stderr
    bool end_seen = false;
    std::optional<ProcessEnd> end;  // once told
  };

  Supervisor(int signal_fd, std::unique_ptr<Guardian> guardian)
      : signal_fd_(signal_fd), guardian_(std::move(guardian)) {}
  void ReadStream(ProcessIndex index, bool is_stderr, size_t bytes_max);
  void ReadSignals();
  void LookForEnd(ProcessIndex index);
  // Kills the group, reaps the child, closes its pipes.
  void Finish(Process* process);

  const int signal_fd_;
  std::unique_ptr<Guardian> guardian_;
  ProcessIndex next_index_ = 0;
  std::map<ProcessIndex, Process> processes_;
  std::deque<SupervisorEvent> events_;
  bool closed_ = false;
};

}  // namespace kvstore
