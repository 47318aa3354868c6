// The keys of a job, as its servers tell them: KVStore::Keys of a dist store. They are asked one
// after the other, page by page, as kvctl keys asks them (ServerAdmin.GetKeyStats).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/cluster/routing_table.h"
#include "common/transport/transport.h"
#include "kvstore/kvstore.h"

namespace kvstore {

struct KeysQuestion {
  std::string prefix;      // of the keys' names or numbers
  int64_t timeout_ms = 0;  // for all of it
  int64_t try_ms = 1000;   // for the first try of each question; each other one gets twice as long
  int64_t pause_ms = 100;  // before another try
};

// The table by which servers are asked now, after a pause of so long; or why nobody is to be asked
// any more, as soon as that is known.
using RoutingAfter = std::function<absl::StatusOr<RoutingPtr>(int64_t pause_ms)>;

// The keys of which every part exists, in the order of KeyPlace; of those that come or go meanwhile
// some. Blocks. A server that is not reached, does not answer, or is not at this job is asked
// again. Errors: DEADLINE_EXCEEDED names the server that is waited for, and what was the matter
// with it; those of `routing`; INTERNAL names a server whose answer makes no sense; what else a
// server says.
absl::StatusOr<std::vector<KeyInfo>> KeysOfJob(Transport& transport, const KeysQuestion& question,
                                               const RoutingAfter& routing);

}  // namespace kvstore
