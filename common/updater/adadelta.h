// adadelta: steps as long as the last ones were, over the gradients' size. The formula and its
// order of operations are in common/kernels/cpu/formulas/squares-inl.h. Source: Zeiler: ADADELTA,
// 2012, algorithm 1; MXNet 2.x python/mxnet/optimizer/adadelta.py; mxnet1: 1.9.1
// python/mxnet/optimizer/optimizer.py, class AdaDelta.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 1 (mxnet1: not used); rho (0.9),
// epsilon (1e-6; mxnet1: 1e-5), UpdaterOptions. State: "squares", "steps". Floats.
absl::StatusOr<std::unique_ptr<Updater>> MakeAdadelta(const UpdaterParameters& parameters);

}  // namespace kvstore
