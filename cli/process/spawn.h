// Spawn: starts one program as a child of ours, with pipes between us.
//
//   the child   is leader of a process group of its own (what it starts belongs to it),
//               gets SIGKILL when the thread that started it ends,
//               has all signals unblocked, and no descriptor of ours but its three
#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "cli/process/process_spec.h"

namespace kvstore {

// The ends of the pipes that are ours; non-blocking, closed by exec.
struct SpawnedProcess {
  pid_t pid = 0;      // of the child, and its process group
  int input_fd = -1;  // its standard input; -1 without ProcessSpec::has_input
  int output_fd = -1;
  int error_fd = -1;
};

// Returns when the program runs, or cannot. `spec.command` is not empty.
// Errors: NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE name the program and why it did not start.
absl::StatusOr<SpawnedProcess> Spawn(const ProcessSpec& spec);

}  // namespace kvstore
