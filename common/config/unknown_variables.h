// Finds variables whose names begin like ours and that no program reads: misspelt ones.
#pragma once

#include <string>
#include <vector>

namespace kvstore {

// The names of this process's variables.
std::vector<std::string> ProcessVariableNames();

// One warning for each of `names` that begins with KVSTORE_ and that no program of ours reads:
// "KVSTORE_SHARD has no effect: there is no such variable; the nearest is KVSTORE_SHARDS". None for
// what Kubernetes sets where a service is called kvstore or kvstore-something.
std::vector<std::string> WarningsOfUnknownVariables(const std::vector<std::string>& names);

}  // namespace kvstore
