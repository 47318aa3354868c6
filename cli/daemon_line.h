// DaemonLine: what a line of a daemon's output is, so that `kvctl run` can leave the terminal to
// the workers and still show what matters. Pure.
//
//   2026-11-28T14:41:02.950 I kvscheduler: job 1 starts: dist_sync, 2 workers, 2 servers, epoch 1
//   ^ written by server/daemon/daemon.cc   ^ text
#pragma once

#include <string_view>

namespace kvstore {

enum class DaemonLineKind {
  kDetail,   // INFO and below, where the daemon listens, and what only repeats the scheduler
  kEvent,    // a job starts or ends: said once, by the scheduler
  kWarning,  // WARN
  kError,    // ERROR and above
  kOther,    // no line of a daemon's log: of gRPC, of a program in the role server, ...
};

struct DaemonLine {
  DaemonLineKind kind = DaemonLineKind::kOther;
  std::string_view text;  // points into the line; without time, level and name, if it had them
};

// `is_scheduler`: of the scheduler, not of a server.
DaemonLine ReadDaemonLine(bool is_scheduler, std::string_view line);

}  // namespace kvstore
