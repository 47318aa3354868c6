// OptimizerConfig: the name of an updater and its parameters, as SetOptimizer takes them to the
// servers. Which names and parameters there are is common/updater's matter.
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
