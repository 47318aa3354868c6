// adamw: adam with the weight decay beside its means. The formula and its order of operations are
// in common/kernels/cpu/formulas/moments-inl.h. Source: Loshchilov, Hutter: Decoupled Weight Decay
// Regularization, 2019, algorithm 2; MXNet 2.x python/mxnet/optimizer/adamW.py. 1.9.1 has none:
// mxnet1 changes nothing.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.001; beta1 (0.9), beta2 (0.999),
// epsilon (1e-6), correct_bias (1), UpdaterOptions. State: "mean", "var". Floats. With
// correct_bias the learning rate of an update is adam's.
absl::StatusOr<std::unique_ptr<Updater>> MakeAdamW(const UpdaterParameters& parameters);

}  // namespace kvstore
