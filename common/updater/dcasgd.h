// dcasgd: gradient descent that corrects gradients for the steps made since their weight was
// pulled, for asynchronous stores. The formula and its order of operations are in
// common/kernels/cpu/formulas/descent-inl.h.
// Source: Zheng et al.: Asynchronous Stochastic Gradient Descent with Delay Compensation, 2017,
// equation 10; MXNet 2.x python/mxnet/optimizer/dcasgd.py; mxnet1: 1.9.1 python/mxnet/optimizer/
// optimizer.py, class DCASGD. As MXNet's it knows one step, the last, whoever made it; with
// per_worker it knows, as the paper has it, the weight that each worker has seen.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.1 (mxnet1: 0.01); momentum (0),
// lamda (0.04, as MXNet spells it), per_worker (0), UpdaterOptions. State: "momentum", unless
// momentum is 0, and "moved"; with per_worker instead of that "previous" for each worker. Floats.
// With per_worker: dense values, whose updates are by one worker's push each.
absl::StatusOr<std::unique_ptr<Updater>> MakeDcasgd(const UpdaterParameters& parameters);

}  // namespace kvstore
