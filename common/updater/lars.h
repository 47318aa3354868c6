// lars: sgd whose learning rate is scaled, for each key, by the norms of its weight and gradient.
// The formulas and their order of operations are sgd's
// (common/kernels/cpu/formulas/descent-inl.h). Source: You, Gitman, Ginsburg: Large Batch Training
// of Convolutional Networks, 2017; MXNet 2.x python/mxnet/optimizer/lars.py, and 1.9.1's.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.1 (mxnet1: 0.01); momentum (0),
// eta (0.001), epsilon (1e-8, mxnet1: 0), UpdaterOptions, lazy_update (1). State: "momentum",
// unless momentum is 0. Floats. Keys whose names end in gamma, beta or bias are not measured: sgd.
absl::StatusOr<std::unique_ptr<Updater>> MakeLars(const UpdaterParameters& parameters);

}  // namespace kvstore
