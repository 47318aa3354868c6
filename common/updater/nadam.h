// nadam: adam with Nesterov's momentum, which grows by a schedule. The formula and its order of
// operations are in common/kernels/cpu/formulas/moments-inl.h, the schedule is here.
// Source: Dozat: Incorporating Nesterov Momentum into Adam, 2016, algorithm 2 and section 3; MXNet
// 2.x python/mxnet/optimizer/nadam.py; mxnet1: 1.9.1 python/mxnet/optimizer/optimizer.py, class
// Nadam. MXNet has one product of the schedule for all keys, so that there the result depends on
// how many keys are updated; here a key's own updates count.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.001; beta1 (0.9, at most 0.9999),
// beta2 (0.999), epsilon (1e-8), schedule_decay (0.004), UpdaterOptions. State: "mean", "var".
// Floats.
// The momentum of update t is mu(t) = beta1 (1 - 0.5 q^t) with q = 0.96^schedule_decay. Its product
// M(t) = mu(1) ... mu(t) follows from t alone, so it is no state. All in f64.
absl::StatusOr<std::unique_ptr<Updater>> MakeNadam(const UpdaterParameters& parameters);

}  // namespace kvstore
