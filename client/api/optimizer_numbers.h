// What SetOptimizerNumbers' user says, as the stores and the servers take it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/optimizer_config.h"

namespace kvstore {

// {"learning_rate", "0.01"}, ...: names and numbers, as text, in any order. Whether the optimizer
// has numbers of these names is PartUpdater's to say.
// Errors: INVALID_ARGUMENT no number, a name that comes twice, text that is no number, a step below
// 1.
absl::StatusOr<NumbersChange> NumbersChangeOf(
    const std::vector<std::pair<std::string, std::string>>& numbers, int64_t from_step);

}  // namespace kvstore
