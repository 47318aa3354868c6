// ChildProcess: one process that is asked and answers, line by line, and is waited for: what a
// program needs that starts its helpers and talks to them one after the other (kvbench). A program
// that must hear all of its processes at once uses the Supervisor below it.
//
//   ChildProcesses   the Supervisor's events, handed to the process they belong to
//   ChildProcess     one of them
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/process/supervisor.h"

namespace kvstore {

class ChildProcess;

// What happens to a child's standard error, and to its standard output unless it answers.
enum class ChildOutput {
  kKeepTail,  // its end is kept, for the message that says why the child is gone
  kForward,   // to our standard error, as it comes
};

struct ChildOptions {
  ProcessSpec process;
  // Whether its standard output is answers, for ReadLine.
  bool answers = true;
  ChildOutput output = ChildOutput::kKeepTail;
};

// Thread-compatible, with all its children; outlives them.
class ChildProcesses {
 public:
  explicit ChildProcesses(std::unique_ptr<Supervisor> supervisor)
      : supervisor_(std::move(supervisor)) {}

  // Errors: those of Supervisor::Start, with the child's name.
  absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const ChildOptions& options);

  // Whether SIGINT, SIGTERM or SIGHUP came to us so far: time to clean up and go.
  bool Interrupted();

 private:
  friend class ChildProcess;
  struct State {
    ChildOptions options;
    std::deque<std::string> lines;  // answers that nobody has read yet
    std::string tail;               // of what is kept
  };

  // Takes one event. False when `deadline_ms` passed.
  bool Pump(int64_t deadline_ms);
  void OnLine(const SupervisorEvent& event);

  const std::unique_ptr<Supervisor> supervisor_;
  std::map<ProcessIndex, State> states_;
  bool interrupted_ = false;
};

class ChildProcess {
 public:
  // Kills the child, with all that it started, if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return all_->supervisor_->pid(index_); }
  const std::string& name() const { return all_->supervisor_->name(index_); }

  // Errors: UNAVAILABLE the child is gone (with the end of its log); CANCELLED we are interrupted.
  absl::Status WriteLine(const std::string& line);
  // The next line, without its end. While it waits it watches `others` too: a line may never come
  // because another process has died. Errors: as WriteLine; DEADLINE_EXCEEDED.
  absl::StatusOr<std::string> ReadLine(double timeout_s,
                                       const std::vector<const ChildProcess*>& others = {});

  // Ends the child's standard input.
  void CloseInput() { all_->supervisor_->CloseInput(index_); }
  // Waits up to `timeout_s` for the child's end, then kills it; a second call finds the same end.
  // Interrupts do not cut the wait short. Errors: INTERNAL if it had to be killed or did not end
  // with exit code 0.
  absl::Status AwaitEnd(double timeout_s);
  // Sends SIGTERM, then as AwaitEnd.
  absl::Status Terminate(double timeout_s);

 private:
  friend class ChildProcesses;
  ChildProcess(ChildProcesses* all, ProcessIndex index) : all_(all), index_(index) {}
  // "kvstored 0 is gone (exit code 3); the end of its log: ...".
  absl::Status Gone() const;
  bool ended() const { return all_->supervisor_->end(index_).has_value(); }

  ChildProcesses* const all_;
  const ProcessIndex index_;
};

}  // namespace kvstore
