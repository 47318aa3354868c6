// sum: value += sum of the round.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// No parameters. f32, f64.
absl::StatusOr<std::unique_ptr<Updater>> MakeSum(const UpdaterParameters& parameters);

}  // namespace kvstore
