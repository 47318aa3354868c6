// adam: moving means of the gradient and of its square. The formula and its order of operations are
// common/kernels/cpu/formulas/moments-inl.h.
// Source: Kingma, Ba: Adam, 2015, algorithm 1 in the form at the end of section 2; MXNet 2.x
// src/operator/optimizer_op-inl.h AdamUpdateKernel; mxnet1: the same in 1.9.1.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.001; beta1 (0.9), beta2 (0.999),
// epsilon (1e-8), UpdaterOptions, lazy_update (1). State: "mean", "var". Floats.
// The learning rate of update t is learning_rate * sqrt(1 - beta2^t) / (1 - beta1^t), in f64.
absl::StatusOr<std::unique_ptr<Updater>> MakeAdam(const UpdaterParameters& parameters);

}  // namespace kvstore
