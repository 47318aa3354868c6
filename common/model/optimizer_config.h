// OptimizerConfig: an optimizer as SetOptimizer takes it to the servers: its name, its parameters,
// and the multipliers of single keys. Which names and parameters there are is common/updater's
// matter.
#pragma once

#include <map>
#include <string>

#include "common/model/key_multipliers.h"

namespace kvstore {

struct OptimizerConfig {
  std::string name;
  std::map<std::string, double> parameters;
  MultipliersByKey multipliers{};

  bool operator==(const OptimizerConfig& other) const {
    return name == other.name && parameters == other.parameters && multipliers == other.multipliers;
  }
};

}  // namespace kvstore
