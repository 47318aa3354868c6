// A child process that does not outlive us: its commands go to standard input, its answers come
// from standard output, line by line.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/kvbench/machine.h"

namespace kvstore::bench {

struct ChildOptions {
  std::string name;  // in messages: "kvstored 0"
  std::vector<std::string> command;
  // Added to our environment.
  std::map<std::string, std::string> environment;
  Cores cores;
  std::string log_file;  // standard error goes there; empty: to ours
  // Whether anybody reads its lines; if not, standard output goes to the log too, so that it can
  // never fill a pipe.
  bool answers = true;
};

// Thread-compatible. Start from the main thread only: the kernel kills the child when the thread
// that started it ends.
class ChildProcess {
 public:
  // Errors: UNAVAILABLE names the program and what the system said.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const ChildOptions& options);
  // Kills the child if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& name() const { return options_.name; }

  // Errors: UNAVAILABLE the child is gone (with the end of its log); CANCELLED by Ctrl-C.
  absl::Status WriteLine(const std::string& line);
  // The next line, without its end. While it waits it watches `others` too: a line may never come
  // because another process has died. Errors: as WriteLine; DEADLINE_EXCEEDED.
  absl::StatusOr<std::string> ReadLine(double timeout_s,
                                       const std::vector<const ChildProcess*>& others = {});

  // Ends the child's standard input.
  void CloseInput();
  // Waits up to `timeout_s` for its end, then kills. Errors: INTERNAL if it had to be killed or
  // ended with another status than 0.
  absl::Status Join(double timeout_s);
  // Sends SIGTERM, then as Join.
  absl::Status Terminate(double timeout_s);

 private:
  explicit ChildProcess(const ChildOptions& options) : options_(options) {}
  // "kvstored 0 ended with status 3; the end of its log: ...".
  absl::Status Gone() const;

  const ChildOptions options_;
  pid_t pid_ = -1;
  int process_fd_ = -1;   // readable once the process has ended
  int input_fd_ = -1;     // its standard input
  int output_fd_ = -1;    // its standard output
  std::string received_;  // bytes after the last line
  bool joined_ = false;
};

}  // namespace kvstore::bench
