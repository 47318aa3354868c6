// adamax: adam with the largest gradient so far, which decays, in place of the root. The formula
// and its order of operations are in common/kernels/cpu/formulas/moments-inl.h. Source: Kingma, Ba:
// Adam, 2015, algorithm 2; MXNet 2.x python/mxnet/optimizer/adamax.py; mxnet1: 1.9.1
// python/mxnet/optimizer/optimizer.py, class Adamax.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.002; beta1 (0.9), beta2 (0.999),
// epsilon (1e-8; mxnet1: there is none), UpdaterOptions. State: "mean", "size". Floats.
// The learning rate of update t is learning_rate / (1 - beta1^t), in f64.
absl::StatusOr<std::unique_ptr<Updater>> MakeAdamax(const UpdaterParameters& parameters);

}  // namespace kvstore
