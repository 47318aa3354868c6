// assign: the new value is the sum. The updater of a store without an optimizer, with which a
// PushPull is an all-reduce.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// No parameters. Any dtype: it moves no byte.
absl::StatusOr<std::unique_ptr<Updater>> MakeAssign(const UpdaterParameters& parameters);

}  // namespace kvstore
