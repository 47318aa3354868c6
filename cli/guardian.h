// Guardian: a small process beside kvctl that kills kvctl's process groups if kvctl dies without
// having done so itself (SIGKILL, a crash). It sleeps on a pipe whose other end only kvctl holds.
#pragma once

#include <sys/types.h>

#include <memory>

#include "absl/status/statusor.h"

namespace kvstore {

class Guardian {
 public:
  // Forks. To be called before kvctl has threads or children.
  static absl::StatusOr<std::unique_ptr<Guardian>> Start();
  // Dismisses the guardian, which kills nobody then, and waits until it is gone.
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  // From now on the group `pgid` dies with kvctl.
  void Guard(pid_t pgid);

 private:
  Guardian(pid_t pid, int pipe_fd) : pid_(pid), pipe_fd_(pipe_fd) {}

  const pid_t pid_;
  const int pipe_fd_;
};

}  // namespace kvstore
