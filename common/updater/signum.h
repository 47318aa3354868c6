// signum: steps of one length, in the direction of the gradient's moving mean. The formula and its
// order of operations are in common/kernels/cpu/formulas/descent-inl.h.
// Source: Bernstein et al.: signSGD, 2018, algorithm 2; MXNet 2.x and 1.9.1
// src/operator/optimizer_op-inl.h SignumKernel, SignSGDKernel.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.01; momentum (0.9), wd_lh (0:
// weight decay beside the gradient), UpdaterOptions. State: "momentum", unless momentum is 0.
// Floats.
absl::StatusOr<std::unique_ptr<Updater>> MakeSignum(const UpdaterParameters& parameters);

}  // namespace kvstore
