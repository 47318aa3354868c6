// OptimizerSpec: which optimizer runs where the values are, and with which numbers; LrScheduler:
// how its learning rate changes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace kvstore {

// "factor", "multifactor", "poly" or "cosine": the learning rate as a function of how many updates
// a key has had. Names and parameters are MXNet's, in docs/optimizers.md. The optimizer's own
// learning_rate, where it is given, takes the place of base_lr.
//
//   OptimizerSpec("sgd").SetLrScheduler(
//       LrScheduler("cosine").Set("base_lr", 0.1).Set("max_update", 9000).Set("warmup_steps", 500))
struct LrScheduler {
  // `scheduler_name`: one of the four, or none.
  explicit LrScheduler(std::string scheduler_name = "") : name(std::move(scheduler_name)) {}
  // Sets one number. SetOptimizer checks names and ranges.
  LrScheduler& Set(const std::string& parameter, double value) {
    parameters[parameter] = value;
    return *this;
  }
  // Of "multifactor": the updates after which the rate is multiplied by the factor.
  LrScheduler& SetSteps(std::vector<uint64_t> updates) {
    steps = std::move(updates);
    return *this;
  }

  std::string name;                          // empty: none
  std::map<std::string, double> parameters;  // absent ones have their defaults
  std::vector<uint64_t> steps;               // ascending, at most 65536
};

// Names and parameters are those of docs/optimizers.md; SetOptimizer refuses unknown ones with an
// Error kInvalidArgument that lists the known ones.
//
//   store->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.1).Set("momentum", 0.9));
//
// lr_mult and wd_mult are factors of the learning rate and the weight decay of single keys, from 0
// on; keys that are not named have 1.
struct OptimizerSpec {
  // `optimizer_name`: one of docs/optimizers.md.
  explicit OptimizerSpec(std::string optimizer_name = "assign") : name(std::move(optimizer_name)) {}
  // Sets one number. SetOptimizer checks names and ranges.
  OptimizerSpec& Set(const std::string& parameter, double value) {
    parameters[parameter] = value;
    return *this;
  }

  // Multiplies the learning rate, or the weight decay, of one key by a factor.
  OptimizerSpec& SetLrMult(int key, double factor) {
    int_multipliers[key].lr_mult = factor;
    return *this;
  }
  OptimizerSpec& SetLrMult(const std::string& key, double factor) {
    string_multipliers[key].lr_mult = factor;
    return *this;
  }
  OptimizerSpec& SetWdMult(int key, double factor) {
    int_multipliers[key].wd_mult = factor;
    return *this;
  }
  OptimizerSpec& SetWdMult(const std::string& key, double factor) {
    string_multipliers[key].wd_mult = factor;
    return *this;
  }

  // Makes the learning rate a function of how many updates a key has had.
  OptimizerSpec& SetLrScheduler(LrScheduler scheduler) {
    lr_scheduler = std::move(scheduler);
    return *this;
  }

  // What the sum of a round is divided by, for keys of floats: nothing, the number of workers of
  // the job (also of those that have left), or the number of those that contributed to the round. A
  // store of one process has one worker; on a dist_async store each push is of one contributor.
  enum class Average { kNone = 0, kWorkers = 1, kContributors = 2 };
  // Sets what the sum is divided by.
  OptimizerSpec& SetAverage(Average over) {
    average = over;
    return *this;
  }

  // The factors of one key.
  struct Multipliers {
    double lr_mult = 1;  // of the learning rate
    double wd_mult = 1;  // of the weight decay
  };

  std::string name;                          // "assign", "sum", "test", "sgd", "adam", …
  std::map<std::string, double> parameters;  // absent ones have their defaults
  // At most 65536 keys, of the kind that the store has.
  std::map<int, Multipliers> int_multipliers;
  std::map<std::string, Multipliers> string_multipliers;  // either these or the others
  LrScheduler lr_scheduler;                               // none if it has no name
  Average average = Average::kNone;                       // of the sum of a round
};

}  // namespace kvstore
