// adagrad: a step for each element that shrinks with the squares of its gradients so far. The
// formula and its order of operations are common/kernels/cpu/formulas/squares-inl.h.
// Source: MXNet 2.x python/mxnet/optimizer/adagrad.py; mxnet1: 1.9.1 python/mxnet/optimizer/
// optimizer.py, class AdaGrad.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.01; epsilon (1e-6; mxnet1: 1e-7),
// UpdaterOptions. State: "history". Floats.
absl::StatusOr<std::unique_ptr<Updater>> MakeAdagrad(const UpdaterParameters& parameters);

}  // namespace kvstore
