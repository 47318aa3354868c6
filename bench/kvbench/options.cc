#include "bench/kvbench/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/status/status.h"

namespace kvstore::bench {
namespace {

constexpr size_t kLatencyBytes = 4096;
constexpr size_t kRoundKeys = 25;

constexpr char kDescription[] =
    "Measures a KVStore beside the limits of the machine.\n\n"
    "Starts a cluster of its own on this machine (kvscheduler and kvstored beside this program, "
    "workers are copies of this program), moves values of known content through it, checks them, "
    "and prints payload bytes per second beside raw TCP and memcpy measured in the same run.\n"
    "Exit codes: 0 done, 1 a wrong result, 2 a bad flag, 3 the store or the cluster failed.";

size_t ElementsOnly(uint64_t bytes) { return static_cast<size_t>(bytes / 4 * 4); }

Case RoundOf(const Options& options) {
  Case round;
  round.workload = Workload::kRound;
  round.keys = options.keys == 0 ? kRoundKeys : options.keys;
  round.value_bytes = std::max<size_t>(4, ElementsOnly(options.model_bytes / round.keys));
  round.window = round.keys;
  round.workers = options.local() ? 1 : options.workers;
  return round;
}

// What CLI11 cannot check. Returns what is wrong, empty if nothing is.
std::string Problem(const Options& options) {
  for (const uint64_t size : options.sizes) {
    if (size == 0 || size % 4 != 0) {
      return fmt::format("--sizes: multiples of 4 bytes expected (f32), got {}", size);
    }
  }
  const bool one_worker = std::any_of(options.workloads.begin(), options.workloads.end(),
                                      [](Workload each) { return each != Workload::kRound; });
  if (!options.scheduler.empty() && one_worker && options.workers != 1) {
    return fmt::format(
        "--scheduler with --workers {}: only the workload round expected, the others have one "
        "worker",
        options.workers);
  }
  if (!options.scheduler.empty() && options.workloads.size() > 1 &&
      std::count(options.workloads.begin(), options.workloads.end(), Workload::kRound) > 0) {
    return "--scheduler: either round or other workloads expected, not both: they need different "
           "optimizers, which a cluster has one of";
  }
  if (!options.scheduler.empty() && options.local()) {
    return fmt::format("--scheduler: a dist store expected, got --store {}", options.store);
  }
  return "";
}

}  // namespace

std::variant<Options, int> ParseOptions(int argc, char** argv) {
  Options options;
  std::vector<std::string> workloads = {"all"};
  std::string role = "main";
  CLI::App app(kDescription, "kvbench");
  app.add_option("workload", workloads, "push, pull, pushpull, latency, round, or all")
      ->check(CLI::IsMember({"push", "pull", "pushpull", "latency", "round", "all"}))
      ->capture_default_str();
  app.add_option("--sizes", options.sizes,
                 "bytes of a value, for push, pull and pushpull: a list such as 4k,64k,1m,16m")
      ->delimiter(',')
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--keys", options.keys, "keys (default: 64 MiB in all, at most 1024; round: 25)");
  app.add_option("--model-bytes", options.model_bytes, "round: bytes of the model")
      ->transform(CLI::AsSizeValue(true))
      ->capture_default_str();
  app.add_option("--workers", options.workers, "workers of round; the others have one")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--servers", options.servers, "servers")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--shards", options.shards, "shards of each server (0: one per core it has)")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "length of a repeat")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  app.add_option("--repeats", options.repeats, "repeats of each measurement")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--store", options.store,
                 "dist_sync, local, or another type of store; none: only raw TCP and memcpy")
      ->capture_default_str();
  app.add_option("--scheduler", options.scheduler,
                 "HOST:PORT: use this running cluster (with as many workers and servers as said "
                 "here)");
  app.add_option("--json", options.json, "write the results to this file too");
  app.add_option("--congestion", options.congestion,
                 "congestion control of raw TCP (default: the machine's)");
  app.add_option("--memcpy-bytes", options.memcpy_bytes, "size of each of memcpy's two buffers")
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
  for (const std::string& name : workloads) {
    for (const char* each : {"push", "pull", "pushpull", "latency", "round"}) {
      if (name == "all" || name == each) options.workloads.push_back(*WorkloadFromName(each));
    }
  }
  if (const std::string problem = Problem(options); !problem.empty()) {
    fmt::print(stderr, "kvbench: {}\n", problem);
    return 2;
  }
  return options;
}

std::vector<Case> CasesOf(const Options& options) {
  std::vector<Case> cases;
  for (const Workload workload : options.workloads) {
    if (workload == Workload::kRound) {
      cases.push_back(RoundOf(options));
    } else if (workload == Workload::kLatency) {
      cases.push_back({workload, kLatencyBytes, 1, 1, 1});
    } else {
      for (const uint64_t size : options.sizes) {
        const size_t keys = options.keys == 0 ? DefaultKeys(size) : options.keys;
        cases.push_back({workload, size, keys, WindowFor(size, keys), 1});
      }
    }
  }
  return cases;
}

}  // namespace kvstore::bench
