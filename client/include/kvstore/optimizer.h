// OptimizerSpec: which optimizer runs where the values are, and with which numbers.
#pragma once

#include <map>
#include <string>
#include <utility>

namespace kvstore {

// Names and parameters are those of docs/optimizers.md; SetOptimizer refuses unknown ones with an
// Error kInvalidArgument that lists the known ones.
//
//   store->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.1).Set("momentum", 0.9));
//
// lr_mult and wd_mult are factors of the learning rate and the weight decay of single keys, from 0
// on; keys that are not named have 1.
struct OptimizerSpec {
  explicit OptimizerSpec(std::string optimizer_name = "assign") : name(std::move(optimizer_name)) {}
  OptimizerSpec& Set(const std::string& parameter, double value) {
    parameters[parameter] = value;
    return *this;
  }

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

  struct Multipliers {
    double lr_mult = 1;
    double wd_mult = 1;
  };

  std::string name;                          // "assign", "sum", "test", "sgd", "adam", …
  std::map<std::string, double> parameters;  // absent ones have their defaults
  // At most 65536 keys, of the kind that the store has.
  std::map<int, Multipliers> int_multipliers;
  std::map<std::string, Multipliers> string_multipliers;
};

}  // namespace kvstore
