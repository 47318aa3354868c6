// sum: value += sum of the round.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// No parameters. Every dtype.
absl::StatusOr<std::unique_ptr<Updater>> MakeSum(const UpdaterParameters& parameters);

}  // namespace kvstore
