// test: value += rescale_grad * sum of the round. MXNet 1.x's optimizer of that name, with which
// its nightly scripts check a KVStore. Source: MXNet 1.9.1 python/mxnet/optimizer/optimizer.py,
// class Test.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: rescale_grad (1). Floats.
absl::StatusOr<std::unique_ptr<Updater>> MakeTest(const UpdaterParameters& parameters);

}  // namespace kvstore
