// CallerLoop: what the thread that called RunServer does meanwhile. It runs the tasks that the
// server's own threads hand to it, until the server is to end or a signal asks for it. Signals are
// read from a descriptor; no code runs in a signal handler.
#pragma once

#include <signal.h>

#include <deque>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "common/base/mutex.h"

namespace kvstore {

class CallerLoop {
 public:
  // Blocks SIGTERM and SIGINT in the calling thread, and so in those that it makes from now on.
  CallerLoop();
  // Gives the calling thread its signals back. Drops the tasks that did not run.
  ~CallerLoop();
  CallerLoop(const CallerLoop&) = delete;
  CallerLoop& operator=(const CallerLoop&) = delete;

  // Thread-safe.
  void Post(std::function<void()> task) KVS_EXCLUDES(mutex_);
  // Thread-safe; the first call counts.
  void End(absl::Status why) KVS_EXCLUDES(mutex_);

  // Runs tasks in the order in which they came, on the constructor's thread, until End or a signal.
  // Returns why; OK for a signal.
  absl::Status Run() KVS_EXCLUDES(mutex_);

 private:
  void Wake();

  sigset_t signals_before_;
  int signal_fd_ = -1;
  int event_fd_ = -1;
  Mutex mutex_;
  std::deque<std::function<void()>> tasks_ KVS_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ KVS_GUARDED_BY(mutex_);
};

}  // namespace kvstore
