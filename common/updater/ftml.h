// ftml: follow the moving leader. The formula and its order of operations are in
// common/kernels/cpu/formulas/moments-inl.h.
// Source: Zheng, Kwok: Follow the Moving Leader in Deep Learning, 2017, algorithm 1; MXNet 2.x
// python/mxnet/optimizer/ftml.py; mxnet1: 1.9.1 src/operator/optimizer_op-inl.h FTMLKernel.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.0025 (mxnet1: 0.01), which is not
// 0; beta1 (0.6), beta2 (0.999), epsilon (1e-8), UpdaterOptions. State: "d", "v", "z". Floats.
// A key whose multiplier makes the learning rate 0 stays as it is, its state too.
absl::StatusOr<std::unique_ptr<Updater>> MakeFtml(const UpdaterParameters& parameters);

}  // namespace kvstore
