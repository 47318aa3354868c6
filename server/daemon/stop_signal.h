// StopSignal: what ends a daemon: SIGTERM, SIGINT, or a reason of its own. Signals are read from a
// descriptor on the main thread; no code runs in a signal handler.
#pragma once

#include <string>

#include "common/base/mutex.h"

namespace kvstore {

// The exit codes of the daemons (docs/operations.md).
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure =
    1;                                // at run time: port taken, scheduler unreachable, job failed
inline constexpr int kExitUsage = 2;  // flags and environment
inline constexpr int kExitRefused = 3;   // the scheduler refused or fenced this node
inline constexpr int kExitBadState = 4;  // the state directory

// To be made once per process, before any other thread: threads inherit the blocked signals.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  struct Reason {
    int signal = 0;  // or 0
    int exit_code = kExitOk;
    std::string message;
  };
  // Thread-safe; the first call counts.
  void End(int exit_code, std::string message) KVS_EXCLUDES(mutex_);
  // Blocks until there is a reason. From then on a signal ends the process at once: "now".
  Reason Wait() KVS_EXCLUDES(mutex_);

 private:
  int signal_fd_ = -1;
  int event_fd_ = -1;
  Mutex mutex_;
  bool ended_ KVS_GUARDED_BY(mutex_) = false;
  Reason reason_ KVS_GUARDED_BY(mutex_);
};

}  // namespace kvstore
