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
struct OptimizerSpec {
  explicit OptimizerSpec(std::string optimizer_name = "assign") : name(std::move(optimizer_name)) {}
  OptimizerSpec& Set(const std::string& parameter, double value) {
    parameters[parameter] = value;
    return *this;
  }

  std::string name;                          // "assign", "sum", "test", "sgd"
  std::map<std::string, double> parameters;  // absent ones have their defaults
};

}  // namespace kvstore
