// What the servers of a cluster moved and copied so far, as kvctl status tells it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/process/child_process.h"
#include "kvstore/kvstore.h"

namespace kvstore::bench {

// Summed over the servers. `kvctl`: the program; `scheduler`: HOST:PORT.
// Errors: UNAVAILABLE if kvctl does not answer.
absl::StatusOr<ByteCounts> AskServerBytes(ChildProcesses* children, const std::string& kvctl,
                                          const std::string& scheduler);

// The sum of all numbers that stand after `"name": ` in one line of JSON.
uint64_t SumOfMembers(const std::string& json, const std::string& name);

}  // namespace kvstore::bench
