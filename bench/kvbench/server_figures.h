// What the servers of a cluster moved, copied and take, as kvctl status tells it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/process/child_process.h"
#include "kvstore/kvstore.h"

namespace kvstore::bench {

struct ServerFigures {
  ByteCounts bytes;  // payload so far, summed over the servers
  // By server: what the process takes of the machine's memory, over what its values and the
  // updater's state take; 0: it has no values.
  std::vector<double> memory_ratios;
};

// `kvctl`: the program; `scheduler`: HOST:PORT. Errors: UNAVAILABLE if kvctl does not answer.
absl::StatusOr<ServerFigures> AskServers(ChildProcesses* children, const std::string& kvctl,
                                         const std::string& scheduler);

// The numbers that stand after `"name":` in one line of JSON.
std::vector<uint64_t> MembersOf(const std::string& json, const std::string& name);

}  // namespace kvstore::bench
