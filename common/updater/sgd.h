// sgd: gradient descent, with momentum if asked for. The formula and its order of operations are
// kernels.h Sgd and SgdMomentum.
// Source: MXNet 2.x src/operator/optimizer_op-inl.h SGDKernel, SGDMomKernel.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: learning_rate (0.1), momentum (0), wd (0), rescale_grad (1), clip_gradient (absent:
// no clipping). State: "momentum", unless momentum is 0. f32, f64.
absl::StatusOr<std::unique_ptr<Updater>> MakeSgd(const UpdaterParameters& parameters);

}  // namespace kvstore
