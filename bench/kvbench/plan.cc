#include "bench/kvbench/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/kvbench/element.h"
#include "bench/kvbench/models.h"

namespace kvstore::bench {
namespace {

constexpr size_t kLatencyBytes = 4096;
constexpr size_t kRoundKeys = 25;
constexpr size_t kSmallKeys = 10000;
constexpr size_t kSmallBytes = 256;
constexpr size_t kRowBytes = 256;  // 64 x f32

size_t WholeElements(uint64_t bytes, DataType dtype) {
  const size_t element = DataTypeBytes(dtype);
  return std::max<size_t>(element, bytes / element * element);
}

// Integers have no SGD.
Optimizer OptimizerOfRounds(DataType dtype) {
  return IsInteger(dtype) ? Optimizer::kSum : Optimizer::kSgd;
}

Case RoundsOf(const Options& options, Workload workload, Optimizer optimizer) {
  Case rounds;
  rounds.workload = workload;
  rounds.optimizer = optimizer;
  rounds.workers = options.local() || workload == Workload::kInit ? 1 : options.workers;
  if (workload == Workload::kRound) rounds.dtype = options.dtype;
  if (InOneMessage(workload)) {
    rounds.keys = options.keys == 0 ? kSmallKeys : options.keys;
    rounds.value_bytes = kSmallBytes;
  } else if (!options.model.empty()) {
    rounds.model = options.model;
    rounds.keys = ModelElements(rounds.model).size();
    rounds.value_bytes = WholeElements(BytesOf(rounds) / rounds.keys, rounds.dtype);
  } else {
    rounds.keys = options.keys == 0 ? kRoundKeys : options.keys;
    rounds.value_bytes = WholeElements(options.model_bytes / rounds.keys, rounds.dtype);
  }
  rounds.window = rounds.keys;
  rounds.compression = options.compression;
  return rounds;
}

}  // namespace

std::vector<Workload> AllWorkloads(const Options& options) {
  std::vector<Workload> all;
  for (const std::string& name : WorkloadNames()) {
    const Workload workload = *WorkloadFromName(name);
    if (workload == Workload::kAsync && options.local()) continue;
    if (workload == Workload::kRound && options.dtype == DataType::kBool) continue;
    all.push_back(workload);
  }
  return all;
}

std::vector<Case> CasesOf(const Options& options) {
  std::vector<Case> cases;
  for (const Workload workload : options.workloads) {
    switch (workload) {
      case Workload::kRound:
        cases.push_back(RoundsOf(options, workload, OptimizerOfRounds(options.dtype)));
        break;
      case Workload::kAsync:
        cases.push_back(RoundsOf(options, workload, Optimizer::kSum));
        break;
      case Workload::kSmall:
        cases.push_back(RoundsOf(options, workload, Optimizer::kAssign));
        cases.push_back(RoundsOf(options, workload, Optimizer::kSgd));
        break;
      case Workload::kInit:
        cases.push_back(RoundsOf(options, workload, Optimizer::kAssign));
        break;
      case Workload::kRowSparse:
        for (const int64_t height : options.heights) {
          Case table = RoundsOf(options, workload, Optimizer::kSgd);
          table.keys = table.window = options.rows;
          table.value_bytes = kRowBytes;
          table.height = height;
          cases.push_back(table);
        }
        break;
      case Workload::kLatency:
        cases.push_back({workload, kLatencyBytes, 1, 1, 1, options.dtype});
        break;
      default:
        for (const uint64_t size : options.sizes) {
          const size_t keys = options.keys == 0 ? DefaultKeys(size) : options.keys;
          cases.push_back({workload, size, keys, WindowFor(size, keys), 1, options.dtype});
        }
    }
  }
  return cases;
}

std::string StoreTypeOf(const Options& options, const Case& measured) {
  return measured.workload == Workload::kAsync ? "dist_async" : options.store;
}

bool ShareJob(const Options& options, const Case& a, const Case& b) {
  return a.workers == b.workers && a.optimizer == b.optimizer &&
         StoreTypeOf(options, a) == StoreTypeOf(options, b) &&
         (a.workload == Workload::kInit) == (b.workload == Workload::kInit);
}

std::string ProblemOf(const Options& options) {
  const size_t element = DataTypeBytes(options.dtype);
  for (const uint64_t size : options.sizes) {
    if (size == 0 || size % element != 0) {
      return fmt::format("--sizes: multiples of {} bytes expected ({}), got {}", element,
                         DataTypeName(options.dtype), size);
    }
  }
  const auto has = [&](Workload workload) {
    return std::count(options.workloads.begin(), options.workloads.end(), workload) > 0;
  };
  if (options.dtype == DataType::kBool && has(Workload::kRound)) {
    return "--dtype bool: push, pull, pushpull or latency expected, got round, which sums numbers";
  }
  const bool other =
      std::any_of(options.workloads.begin(), options.workloads.end(), [](Workload workload) {
        return workload != Workload::kRound && workload != Workload::kAsync &&
               workload != Workload::kSmall;
      });
  if (!options.compression.empty() && other) {
    return "--compression: the workloads round, async and small expected";
  }
  if (!options.model.empty() && !has(Workload::kRound) && !has(Workload::kAsync)) {
    return "--model: round or async expected among the workloads, which have models";
  }
  if (options.local() && has(Workload::kAsync)) {
    return fmt::format("async: a dist store expected, got --store {}", options.store);
  }
  for (const int64_t height : options.heights) {
    if (options.rows < 1 || options.rows > static_cast<uint64_t>(height) / 2) {
      return fmt::format("--rows: 1 to {} expected, half the height {}, got {}", height / 2, height,
                         options.rows);
    }
  }
  if (options.scheduler.empty()) return "";
  if (options.local()) {
    return fmt::format("--scheduler: a dist store expected, got --store {}", options.store);
  }
  const std::vector<Case> cases = CasesOf(options);
  for (const Case& each : cases) {
    if (each.workers != options.workers) {
      return fmt::format(
          "--scheduler with --workers {}: a workload of all workers expected, {} "
          "has one",
          options.workers, WorkloadName(each.workload));
    }
    if (!ShareJob(options, cases[0], each)) {
      return fmt::format(
          "--scheduler: workloads of one job expected, got {} with {} and {} with {}: they need "
          "another store, optimizer or cluster",
          WorkloadName(cases[0].workload), OptimizerName(cases[0].optimizer),
          WorkloadName(each.workload), OptimizerName(each.optimizer));
    }
  }
  return "";
}

}  // namespace kvstore::bench
