// `kvbench --role worker`: the process that holds a KVStore and does what its standard input says.
#pragma once

#include <string>

namespace kvstore::bench {

// Creates a store of type `store` (a dist store reads KVSTORE_*), answers `ok`, then carries out
// commands until standard input ends (worker_protocol.h). Returns the exit code.
int RunWorker(const std::string& store);

}  // namespace kvstore::bench
