// lans: lamb with Nesterov's momentum, of gradients that are divided by their norm. The formula and
// its order of operations are in common/kernels/cpu/formulas/moments-inl.h, the norms in norms.h.
// Source: Zheng et al.: Accelerated Large Batch Optimization of BERT Pretraining in 54 minutes,
// 2020, algorithm 2; MXNet 2.x python/mxnet/optimizer/lans.py and its operator
// multi_lans_update. 1.9.1 has none: mxnet1 changes nothing.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.001; beta1 (0.9), beta2 (0.999),
// epsilon (1e-6), lower_bound and upper_bound (absent), UpdaterOptions. State: "mean", "var", f32
// beside f16 and bf16.
// Floats. All rows of a row-sparse value are updated.
absl::StatusOr<std::unique_ptr<Updater>> MakeLans(const UpdaterParameters& parameters);

}  // namespace kvstore
