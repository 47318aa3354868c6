// What the server and the SDK compute on arrays of numbers: the whole surface of the kernels.
//
// Bits are a contract. Every function does, for each element on its own, exactly the written
// operations in the written order, each rounded once to nearest-even in the dtype that is computed
// in: no fused multiply-add, no reassociation, denormals kept, exact square roots and quotients. So
// the result of an element does not depend on the CPU, the SIMD width, the position in the array,
// or how a value was cut into parts. The scalar reference (cpu/scalar.h, cpu/scalar_updates.h) is
// the definition; tests hold every SIMD target to its bits. One exception: which NaN comes out of
// an operation on NaNs is not defined, only that it is one.
//
// Pointers need no alignment: payload slices cut elements at any byte. Arrays must not overlap,
// except where a function says so. The caller's floating-point environment must be the default one
// (round to nearest, no flush-to-zero).
//
// Threading: pure functions; one thread each, no pool behind them.
#pragma once

#include <cstddef>

#include "common/tensor/dtype.h"

namespace kvstore {

// Sums, for every dtype (KVS_CHECKed to be one).
//
// Ints wrap. A bool is false when its byte is 0, else true, and is summed by "or"; sums are 0 or 1.

// The dtype in which values of `dtype` are summed: a sum of f16 or bf16 is an f32 and is rounded
// once, when it is complete.
constexpr DType AccumulatorOf(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kBFloat16 ? DType::kFloat32 : dtype;
}

// acc[i] = x[i] in AccumulatorOf(dtype), exactly.
void Widen(DType dtype, void* acc, const void* x, size_t elements);

// x[i] = acc[i], in AccumulatorOf(dtype), rounded to `dtype`: to nearest, ties to even, beyond the
// range to infinity; a NaN stays one.
void Narrow(DType dtype, void* x, const void* acc, size_t elements);

// acc[i] = acc[i] + x[i]: one step of the left fold that sums a round. `acc` is in
// AccumulatorOf(dtype). Moves 12 bytes per f32, 10 per f16.
void Accumulate(DType dtype, void* acc, const void* x, size_t elements);

// dst[i] = (((xs[0][i] + xs[1][i]) + xs[2][i]) + …): the fold over `count` >= 1 arrays in one pass.
// It starts from the first value and not from 0, so that a lone -0.0 stays -0.0. Same bits as
// Widen of xs[0] and count - 1 times Accumulate, in 4 (count + 1) bytes per f32. `dst` is in
// AccumulatorOf(dtype); it may be one of the `xs` where that is `dtype`.
void LeftFold(DType dtype, void* dst, const void* const* xs, size_t count, size_t elements);

// The same, rounded once to `dtype`, in which `dst` is. `dst` may be one of the `xs`.
void RoundedFold(DType dtype, void* dst, const void* const* xs, size_t count, size_t elements);

// Updates, for kFloat32 and kFloat64 (KVS_CHECKed). They make a new weight out of the old one and
// the gradient, and write it over the gradient: the old weight stays as it is, because pulls may
// still hold it. The numbers are given in double and rounded once to the dtype of the arrays.
constexpr bool UpdatesCompute(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64;
}

// grad[i] = weight[i] + scale * grad[i].
void AddScaled(DType dtype, double scale, const void* weight, void* grad, size_t elements);

// What most updates have. With w = weight[i]:
//   G = rescale_grad * grad[i]
//   if clip: G = clip_gradient where G > clip_gradient, -clip_gradient where G < -clip_gradient
//            (a NaN stays a NaN)
//   g = G + (wd * w)                 also when wd is 0
struct UpdateNumbers {
  double learning_rate = 0.01;
  double rescale_grad = 1;
  double wd = 0;
  bool clip = false;         // whether clip_gradient applies
  double clip_gradient = 0;  // > 0
  bool mxnet1 = false;       // the update's other formula, MXNet 1.9.1's
};

struct SgdNumbers : UpdateNumbers {
  double momentum = 0;  // SgdMomentum only
};

//   grad[i] = w - (learning_rate * g)
// mxnet1, where lrG is learning_rate * G, and without clipping
// (learning_rate * rescale_grad) * grad[i]:
//   grad[i] = w - (((learning_rate * wd) * w) + lrG)
// Moves 12 bytes per f32.
void Sgd(DType dtype, const SgdNumbers& numbers, const void* weight, void* grad, size_t elements);

//   m = (momentum * mom[i]) - (learning_rate * g)
// mxnet1:
//   m = ((momentum * mom[i]) - ((learning_rate * wd) * w)) - lrG
// both:
//   mom[i] = m
//   grad[i] = w + m
// Moves 20 bytes per f32.
void SgdMomentum(DType dtype, const SgdNumbers& numbers, const void* weight, void* mom, void* grad,
                 size_t elements);

struct AdagradNumbers : UpdateNumbers {
  double epsilon = 1e-6;
};

//   history[i] = history[i] + (g * g)
//   grad[i] = w - (learning_rate * (g / (sqrt(history[i]) + epsilon)))
// mxnet1:
//   history[i] = history[i] + (G * G)
//   grad[i] = w - (learning_rate * ((G / sqrt(history[i] + epsilon)) + (wd * w)))
// Moves 20 bytes per f32.
void Adagrad(DType dtype, const AdagradNumbers& numbers, const void* weight, void* history,
             void* grad, size_t elements);

struct AdamNumbers : UpdateNumbers {  // learning_rate: with the bias correction in it
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

// mxnet1: g = (rescale_grad * grad[i]) + (wd * w), then clipped as G is above.
//   mean[i] = (beta1 * mean[i]) + ((1 - beta1) * g)
//   var[i] = (beta2 * var[i]) + (((1 - beta2) * g) * g)
//   grad[i] = w - ((learning_rate * mean[i]) / (sqrt(var[i]) + epsilon))
// Moves 28 bytes per f32.
void Adam(DType dtype, const AdamNumbers& numbers, const void* weight, void* mean, void* var,
          void* grad, size_t elements);

struct FtrlNumbers : UpdateNumbers {  // learning_rate > 0, also after rounding; mxnet1: the same
  double lamda1 = 0.01;
  double beta = 1;
};

//   n' = n[i] + (G * G)
//   z' = z[i] + (G - (((sqrt(n') - sqrt(n[i])) * w) / learning_rate))
//   grad[i] = 0 where |z'| <= lamda1, else
//             ((lamda1 with the sign of z') - z') / (((beta + sqrt(n')) / learning_rate) + wd)
//   z[i] = z', n[i] = n'
// Moves 28 bytes per f32.
void Ftrl(DType dtype, const FtrlNumbers& numbers, const void* weight, void* z, void* n, void* grad,
          size_t elements);

}  // namespace kvstore
