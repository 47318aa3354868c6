// Guardian: a small process beside ours that kills our children's process groups if we die without
// having done so ourselves (SIGKILL, a crash). It sleeps on a pipe whose other end only we hold.
#pragma once

#include <sys/types.h>

#include <memory>

#include "absl/status/statusor.h"

namespace kvstore {

class Guardian {
 public:
  // Forks. To be called before this process has threads or children.
  static absl::StatusOr<std::unique_ptr<Guardian>> Start();
  // Dismisses the guardian, which kills nobody then, and waits until it is gone.
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  // Has the group `pgid` killed, from now on, when this process dies.
  void Guard(pid_t pgid) { Tell(pgid); }
  // No longer: the group is gone, and its id may soon be another's.
  void Forget(pid_t pgid) { Tell(-pgid); }

 private:
  void Tell(pid_t word);

  Guardian(pid_t pid, int pipe_fd) : pid_(pid), pipe_fd_(pipe_fd) {}

  const pid_t pid_;
  const int pipe_fd_;
};

}  // namespace kvstore
