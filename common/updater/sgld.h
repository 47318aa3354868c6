// sgld: gradient descent with noise as strong as the steps, so that the weights are drawn from a
// distribution. The formula and its order of operations are in
// common/kernels/cpu/formulas/descent-inl.h, the noise in common/kernels/noise.h.
// Source: Welling, Teh: Bayesian Learning via Stochastic Gradient Langevin Dynamics, 2011, equation
// 4; MXNet 2.x python/mxnet/optimizer/sgld.py; mxnet1: 1.9.1 python/mxnet/optimizer/optimizer.py,
// class SGLD. MXNet's noise comes from its process's generator; here it follows from the seed, the
// key, the number of the update and the element's place in the value, so that every store has the
// same.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.1 (mxnet1: 0.01); seed (0, a
// whole number up to 2^53), UpdaterOptions. No state, but updates are counted. Floats.
absl::StatusOr<std::unique_ptr<Updater>> MakeSgld(const UpdaterParameters& parameters);

}  // namespace kvstore
