// LrScheduleConfig: a schedule of the learning rate as SetOptimizer takes it to the servers. Which
// schedules and parameters there are is common/updater's matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kvstore {

struct LrScheduleConfig {
  // The most steps of one schedule: so that it fits a frame.
  static constexpr size_t kStepsMax = 65536;

  std::string name;  // "factor"; empty: the learning rate stays as it is
  std::map<std::string, double> parameters{};
  std::vector<uint64_t> steps{};  // of "multifactor"

  bool operator==(const LrScheduleConfig& other) const {
    return name == other.name && parameters == other.parameters && steps == other.steps;
  }
};

}  // namespace kvstore
