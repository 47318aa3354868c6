// ftrl: follow the regularized leader, which sets weights to 0. The formula and its order of
// operations are common/kernels/cpu/formulas/squares-inl.h.
// Source: McMahan et al.: Ad Click Prediction, 2013, algorithm 1; MXNet 2.x and 1.9.1
// src/operator/optimizer_op-inl.h FtrlUpdate, which are the same.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.1, which is not 0; lamda1 (0.01,
// as MXNet spells it), beta (1), UpdaterOptions. State: "z", "n". Floats. A key whose
// multiplier makes the learning rate 0 stays as it is, its state too.
absl::StatusOr<std::unique_ptr<Updater>> MakeFtrl(const UpdaterParameters& parameters);

}  // namespace kvstore
