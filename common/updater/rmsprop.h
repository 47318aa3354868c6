// rmsprop: steps over the root of the squares' moving mean; centered: over that of the variance,
// with momentum. The formula and its order of operations are in
// common/kernels/cpu/formulas/squares-inl.h.
// Source: Tieleman, Hinton: Neural Networks for Machine Learning, lecture 6.5, 2012; centered:
// Graves: Generating Sequences With Recurrent Neural Networks, 2013, equations 38 to 45; MXNet 2.x
// python/mxnet/optimizer/rmsprop.py; mxnet1: 1.9.1 src/operator/optimizer_op-inl.h
// RMSPropUpdateKernel, RMSPropAlexUpdateKernel.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.001; rho (0.9), momentum (0.9, of
// the centered one), epsilon (1e-8), centered (0), clip_weights (absent: no bound), multi_precision
// (0). State: "var"; centered: "mean", "var", "momentum". Floats.
absl::StatusOr<std::unique_ptr<Updater>> MakeRmsprop(const UpdaterParameters& parameters);

}  // namespace kvstore
