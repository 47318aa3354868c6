// nag: gradient descent with Nesterov's momentum. The formula and its order of operations are in
// common/kernels/cpu/formulas/descent-inl.h.
// Source: MXNet 2.x and 1.9.1 src/operator/optimizer_op-inl.h NAGMomKernel.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.1 (mxnet1: 0.01); momentum (0.9;
// mxnet1: 0), UpdaterOptions. State: "momentum", unless momentum is 0. Floats.
absl::StatusOr<std::unique_ptr<Updater>> MakeNag(const UpdaterParameters& parameters);

}  // namespace kvstore
