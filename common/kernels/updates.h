// The updates that optimizers make, on arrays: a new weight out of the old one, the gradient and
// what is remembered. kernels.h says what holds for all kernels, bits above all.
//
// Each update is one formula, written once, in cpu/formulas: a line there is a line of
// docs/optimizers.md, and the order of its operations is the contract. What an update is given are
// its Numbers: the type chooses the formula. All of them are in double and are rounded once to the
// dtype of the arrays; where a formula combines numbers first (1 - beta1), it says in what.
//
// Adding one: its Numbers here and in AnyNumbers, its formula in cpu/formulas, a line in the list
// of tests/common/kernels/updates_test.cc.
#pragma once

#include <cstddef>
#include <variant>

#include "common/tensor/dtype.h"

namespace kvstore {

// The dtypes that updates compute in.
constexpr bool UpdatesCompute(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64;
}

// weight + scale * gradient.
struct AddScaledNumbers {
  double scale = 1;
};

// What the updates below have.
struct UpdateNumbers {
  double learning_rate = 0.01;
  double rescale_grad = 1;
  double wd = 0;
  bool clip = false;         // whether clip_gradient applies
  double clip_gradient = 0;  // > 0
  bool mxnet1 = false;       // the update's other formula, MXNet 1.9.1's
};

// Gradient descent. No state; moves 12 bytes per f32.
struct SgdNumbers : UpdateNumbers {};

// Gradient descent with momentum. State: the momentum; moves 20 bytes per f32.
struct MomentumNumbers : UpdateNumbers {
  double momentum = 0;
};

// nag whose momentum is 0: sgd, but for another order of operations in mxnet1. No state; moves 12
// bytes per f32.
struct PlainNagNumbers : UpdateNumbers {};

// Gradient descent with noise. State: the noise, which is only read; moves 16 bytes per f32.
struct SgldNumbers : UpdateNumbers {};

// Nesterov's momentum. State: the momentum; moves 20 bytes per f32.
struct NagNumbers : UpdateNumbers {
  double momentum = 0.9;
};

// The sign of the gradient, without its size. No state; moves 12 bytes per f32.
struct SignNumbers : UpdateNumbers {
  double wd_lh = 0;
};

// The sign of the gradient's moving mean. State: the mean, negated; moves 20 bytes per f32.
struct SignumNumbers : UpdateNumbers {
  double momentum = 0.9;
  double wd_lh = 0;
};

// Gradients made for an older weight, corrected for its last step. State: the last step; moves 20
// bytes per f32.
struct DcasgdNumbers : UpdateNumbers {
  double lamda = 0.04;
};

// State: the momentum, the last step; moves 28 bytes per f32.
struct DcasgdMomentumNumbers : UpdateNumbers {
  double momentum = 0;
  double lamda = 0.04;
};

// The same, corrected for all steps since the worker that made the gradient made its last one.
// State: the weight after that one; moves 20 bytes per f32.
struct WorkerDcasgdNumbers : UpdateNumbers {
  double lamda = 0.04;
};

// State: the momentum, the weight after the worker's last step; moves 28 bytes per f32.
struct WorkerDcasgdMomentumNumbers : UpdateNumbers {
  double momentum = 0;
  double lamda = 0.04;
};

// State: the sum of squares so far; moves 20 bytes per f32.
struct AdagradNumbers : UpdateNumbers {
  double epsilon = 1e-6;
};

// State: mean, var; moves 28 bytes per f32.
struct AdamNumbers : UpdateNumbers {  // learning_rate: with the bias correction in it
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

// adagrad with one sum of squares for a whole row. No state: the row's sum of squares, which
// AddMeanSquare makes, is one of the numbers; moves 12 bytes per f32.
struct GroupAdagradNumbers : UpdateNumbers {
  double epsilon = 1e-6;
  double history = 0;
};

// State: z, n; moves 28 bytes per f32.
struct FtrlNumbers : UpdateNumbers {  // learning_rate > 0, also after rounding
  double lamda1 = 0.01;
  double beta = 1;
};

// State: moving means of squared gradients and of squared steps; moves 28 bytes per f32.
struct AdadeltaNumbers : UpdateNumbers {
  double rho = 0.9;
  double epsilon = 1e-6;
};

// State: var, the moving mean of squares; moves 20 bytes per f32.
struct RmspropNumbers : UpdateNumbers {
  double rho = 0.9;
  double epsilon = 1e-8;
  bool bounded = false;     // whether clip_weights applies
  double clip_weights = 0;  // > 0
};

// State: mean, var, momentum; moves 36 bytes per f32.
struct CenteredRmspropNumbers : RmspropNumbers {
  double momentum = 0.9;
};

// Weight decay beside the mean instead of in it. State, bytes and learning_rate: as adam's.
struct AdamWNumbers : AdamNumbers {};

// var: of the gradient's distance from its mean. State, bytes and learning_rate: as adam's.
struct AdaBeliefNumbers : AdamNumbers {};

// State: mean, and the size that gradients had, which decays; moves 28 bytes per f32.
struct AdamaxNumbers : AdamNumbers {};  // learning_rate: with the bias correction in it

// State: mean, var; moves 28 bytes per f32. For update t, with the momentum mu(t) of the schedule
// and its product M(t) = mu(1) ... mu(t):
struct NadamNumbers : AdamNumbers {
  double share_now = 1;      // 1 - mu(t)
  double momentum_next = 0;  // mu(t + 1)
  double rest_now = 1;       // 1 - M(t)
  double rest_next = 1;      // 1 - M(t + 1)
  double rest_var = 1;       // 1 - beta2^t
};

// State: d, v, z; moves 36 bytes per f32. For update t, of the rounded betas:
struct FtmlNumbers : AdamNumbers {  // learning_rate > 0, also after rounding
  double power1 = 0;                // beta1^t
  double power2 = 0;                // beta2^t
};

// State: mean, var; moves 28 bytes per f32. For update t, of the rounded betas:
struct LambNumbers : AdamNumbers {
  double power1 = 0;  // beta1^t, or 0: without correction of the bias
  double power2 = 0;  // beta2^t, likewise
  double rate = 0;    // the learning rate times the trust ratio, which is of norms
};
// What lamb goes along, whose norm its rate needs: it is written over the gradient. State: as
// lamb's, which is only read.
struct LambStepNumbers : LambNumbers {};

// State: mean, var; moves 28 bytes per f32. For update t, of the rounded betas:
struct LansNumbers : AdamNumbers {
  double norm = 1;       // of the rescaled gradient, which is divided by it
  double power1 = 0;     // beta1^t
  double power2 = 0;     // beta2^t
  double mean_rate = 0;  // of the step along the mean: with its trust ratio and beta1 in it
  double grad_rate = 0;  // of the step along the gradient: with 1 - beta1 in it
};
// The two that lans goes along, as LambStepNumbers.
struct LansMeanStepNumbers : LansNumbers {};
struct LansGradStepNumbers : LansNumbers {};

using AnyNumbers =
    std::variant<AddScaledNumbers, SgdNumbers, MomentumNumbers, SgldNumbers, PlainNagNumbers,
                 NagNumbers, SignNumbers, SignumNumbers, DcasgdNumbers, DcasgdMomentumNumbers,
                 WorkerDcasgdNumbers, WorkerDcasgdMomentumNumbers, AdagradNumbers,
                 GroupAdagradNumbers, FtrlNumbers, AdadeltaNumbers, RmspropNumbers,
                 CenteredRmspropNumbers, AdamNumbers, AdamWNumbers, AdaBeliefNumbers, AdamaxNumbers,
                 NadamNumbers, FtmlNumbers, LambNumbers, LambStepNumbers, LansNumbers,
                 LansMeanStepNumbers, LansGradStepNumbers>;

// One update of `elements` elements of `dtype` (UpdatesCompute, KVS_CHECKed). The new weight is
// written over the gradient: the old weight stays as it is, because pulls may still hold it.
// `state`: as many arrays as the Numbers say, in their order; they are read and written.
void UpdateWeights(DType dtype, const AnyNumbers& numbers, const void* weight, void* const* state,
                   void* grad, size_t elements);

// history = history + mean of G * G, for one row: with q = G * G of each of its `elements` (at
// least one), and G as in the updates, ((0 + q[0]) + q[1]) + … from the left, divided by
// `elements`. `history`: one number of `dtype`. Reads 4 bytes per f32.
void AddMeanSquare(DType dtype, const UpdateNumbers& numbers, const void* grad, size_t elements,
                   void* history);

}  // namespace kvstore
