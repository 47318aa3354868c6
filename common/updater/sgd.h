// sgd: gradient descent, with momentum if asked for. The formula and its order of operations are
// common/kernels/cpu/formulas/descent-inl.h.
// Source: MXNet 2.x src/operator/optimizer_op-inl.h SGDKernel, SGDMomKernel; mxnet1: the same in
// 1.9.1.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.1 (mxnet1: 0.01); momentum (0),
// UpdaterOptions, lazy_update (1). State: "momentum", unless momentum is 0. Floats.
absl::StatusOr<std::unique_ptr<Updater>> MakeSgd(const UpdaterParameters& parameters);

}  // namespace kvstore
