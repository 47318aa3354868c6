// The command line of kvbench.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "bench/kvbench/cases.h"

namespace kvstore::bench {

struct Options {
  std::vector<Workload> workloads;
  std::vector<uint64_t> sizes = {4u << 10, 64u << 10, 1u << 20, 16u << 20};  // bytes of a value
  uint64_t keys = 0;  // 0: DefaultKeys of the size; a round: 25; small and init: 10,000
  uint64_t model_bytes = 100000000;
  std::string model;                    // of models.h; empty: keys of one size
  DataType dtype = DataType::kFloat32;  // of push, pull, pushpull, latency and round
  uint64_t rows = 10000;                // of a batch; rowsparse
  std::vector<int64_t> heights = {100000, 1000000, 10000000};
  std::string compression;  // of round, async and small: "2bit,threshold=0.5"; empty: none
  int workers = 1;
  int servers = 1;
  int shards = 0;  // of each server; 0: one per core it has
  double seconds = 1;
  int repeats = 5;
  // After a round, before the servers' memory is looked at again. A server keeps what open rounds
  // took for four seconds at most: it looks once a second.
  int rest = 4;
  std::string store = "dist_sync";
  std::string scheduler;   // HOST:PORT of a running cluster; empty: start one
  std::string json;        // file; empty: none
  std::string congestion;  // of raw TCP; empty: the machine's
  uint64_t memcpy_bytes = 512u << 20;
  uint64_t seed = 1;
  bool tls = false;  // by certificates made for this run
  bool pin = true;
  bool worker_role = false;  // this process is one of our own workers

  // A store of many processes; "none" counts as one, without the store.
  bool local() const { return store != "dist" && store.rfind("dist_", 0) != 0 && !limits_only(); }
  bool limits_only() const { return store == "none"; }
};

// What to run, or the exit code of a process that is to end at once (--help, a bad flag); then
// everything there is to say was printed.
std::variant<Options, int> ParseOptions(int argc, char** argv);

}  // namespace kvstore::bench
