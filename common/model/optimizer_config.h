// OptimizerConfig: an optimizer as SetOptimizer takes it to the servers: its name, its parameters,
// the multipliers of single keys, the schedule of its learning rate, and what a sum is divided by.
// Which names and parameters there are is common/updater's matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/cluster/identity.h"
#include "common/model/key_multipliers.h"
#include "common/model/lr_schedule_config.h"

namespace kvstore {

// What the sum of a round is divided by before it is used. Numbers as in types.proto.
enum class Average : uint32_t {
  kNone = 0,
  kWorkers = 1,       // the workers of the job, also of those that have left
  kContributors = 2,  // the workers that contributed to this round
};

// Whose contributions the sum of a round has. A store of one process has one worker.
struct RoundCounts {
  uint32_t contributors = 1;
  uint32_t workers = 1;  // of the job
  // The step of the update: the one that the lowest-ranked of the contributions was pushed in.
  uint64_t step = 0;
  // Whose push it is, where every push is an update of its own; a store of one process has rank 0.
  std::optional<WorkerRank> worker{};
};

// Numbers of the optimizer that is set, by name, which updates use from a step on.
struct NumbersChange {
  // The most steps from which numbers may change, of one optimizer: what they are before each has
  // to be kept.
  static constexpr size_t kStepsMax = 4096;

  uint64_t from_step = 0;  // at least 1
  std::map<std::string, double> numbers{};

  bool operator==(const NumbersChange& other) const {
    return from_step == other.from_step && numbers == other.numbers;
  }
};

struct OptimizerConfig {
  std::string name;
  std::map<std::string, double> parameters;
  MultipliersByKey multipliers{};
  LrScheduleConfig schedule{};
  Average average = Average::kNone;

  bool operator==(const OptimizerConfig& other) const {
    return name == other.name && parameters == other.parameters &&
           multipliers == other.multipliers && schedule == other.schedule &&
           average == other.average;
  }
};

}  // namespace kvstore
