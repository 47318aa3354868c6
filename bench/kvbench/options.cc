#include "bench/kvbench/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "bench/kvbench/models.h"
#include "bench/kvbench/plan.h"
#include "common/config/help_formatter.h"

namespace kvstore::bench {
namespace {

constexpr char kDescription[] =
    "Measures a KVStore beside the limits of the machine.\n\n"
    "Starts a cluster of its own on this machine (kvscheduler and kvstored beside this program, "
    "workers are copies of this program), moves values of known content through it, checks them, "
    "and prints payload bytes per second beside raw TCP and memcpy measured in the same run.\n"
    "Exit codes: 0 done, 1 a wrong result, 2 a bad flag, 3 the store or the cluster failed.";

}  // namespace

std::variant<Options, int> ParseOptions(int argc, char** argv) {
  Options options;
  std::vector<std::string> workloads = {"all"};
  std::vector<std::string> known = WorkloadNames();
  known.emplace_back("all");
  std::string dtype = DataTypeName(options.dtype);
  std::string role = "main";
  CLI::App app(kDescription, "kvbench");
  app.formatter(std::make_shared<HelpFormatter>());
  app.add_option("workload", workloads, "what to measure")
      ->type_name("NAME")
      ->check(CLI::IsMember(known))
      ->capture_default_str();
  app.add_option("--sizes", options.sizes,
                 "bytes of a value, for push, pull and pushpull: a list such as 4k,64k,1m,16m")
      ->type_name("BYTES")
      ->delimiter(',')
      ->transform(CLI::AsSizeValue(false));
  app.add_option(
      "--keys", options.keys,
      "keys (default: 64 MiB in all, at most 1024; round, async: 25; small, init: 10000)");
  app.add_option("--dtype", dtype, "of push, pull, pushpull, latency and round")
      ->type_name("NAME")
      ->check(CLI::IsMember(DataTypeNames()))
      ->capture_default_str();
  app.add_option("--model-bytes", options.model_bytes, "round, async: bytes of the model")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(true))
      ->capture_default_str();
  app.add_option("--model", options.model,
                 "round, async: keys of the sizes of this model's tensors, in the place of --keys "
                 "and --model-bytes")
      ->type_name("NAME")
      ->check(CLI::IsMember(ModelNames()))
      ->excludes("--keys")
      ->excludes("--model-bytes");
  app.add_option("--compression", options.compression,
                 "round, async, small: what SetGradientCompression is given, such as "
                 "2bit,threshold=0.5; values are not checked then")
      ->type_name("TYPE,NAME=NUMBER...");
  app.add_option("--rows", options.rows, "rowsparse: rows of a batch")->capture_default_str();
  app.add_option("--heights", options.heights, "rowsparse: rows of the table, a list")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 27))
      ->capture_default_str();
  app.add_option("--workers", options.workers,
                 "workers of round, async, small and rowsparse; the others have one")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--servers", options.servers, "servers")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--shards", options.shards, "shards of each server; 0: one per core it has")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "length of a repeat")
      ->type_name("S")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  app.add_option("--repeats", options.repeats, "repeats of each measurement")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--rest", options.rest,
                 "round: how long the servers have, to give memory back, before it is looked at a "
                 "second time")
      ->type_name("S")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  app.add_option("--store", options.store,
                 "dist_sync, local, or another type of store; none: only raw TCP and memcpy")
      ->type_name("TYPE")
      ->capture_default_str();
  app.add_option("--scheduler", options.scheduler,
                 "use this running cluster, which has as many workers and servers as said here")
      ->type_name("HOST:PORT");
  app.add_option("--json", options.json, "write the results to this file too")->type_name("FILE");
  app.add_flag("--tls", options.tls,
               "mutual TLS on every connection, by certificates made for this run");
  app.add_option("--congestion", options.congestion,
                 "congestion control of raw TCP (default: the machine's)")
      ->type_name("NAME");
  app.add_option("--memcpy-bytes", options.memcpy_bytes, "size of each of memcpy's two buffers")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(uint64_t{4096}, uint64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "seed of the values")->capture_default_str();
  app.add_flag("--pin,!--no-pin", options.pin,
               "workers on the first half of the cores, servers on the second (default)");
  app.add_option("--role", role)
      ->check(CLI::IsMember({"main", "worker"}))
      ->group("");  // not in --help: how kvbench starts its own workers
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.worker_role = role == "worker";
  options.dtype = *DataTypeFromName(dtype);
  for (const std::string& name : workloads) {
    if (name == "all") {
      options.workloads = AllWorkloads(options);
      break;
    }
    options.workloads.push_back(*WorkloadFromName(name));
  }
  if (const std::string problem = ProblemOf(options); !problem.empty()) {
    fmt::print(stderr, "kvbench: {}\n", problem);
    return 2;
  }
  return options;
}

}  // namespace kvstore::bench
