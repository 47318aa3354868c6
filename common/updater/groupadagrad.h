// groupadagrad: adagrad with one sum of squares for each row, for embeddings. The formula and its
// order of operations are in common/kernels/cpu/formulas/squares-inl.h, and AddMeanSquare of
// common/kernels/updates.h.
// Source: MXNet 2.x python/mxnet/optimizer/contrib.py; mxnet1: 1.9.1
// src/operator/contrib/optimizer_op-inl.h GroupAdagradDnsRspKernel.
#pragma once

#include "common/updater/updater.h"

namespace kvstore {

// Parameters: the common ones (parameters.h) with learning_rate 0.01 and wd, which is 0; epsilon
// (1e-6; mxnet1: 1e-5), UpdaterOptions. State: "history", one number for each row. Row-sparse
// floats.
absl::StatusOr<std::unique_ptr<Updater>> MakeGroupAdagrad(const UpdaterParameters& parameters);

}  // namespace kvstore
