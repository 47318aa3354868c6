// What the server and the SDK compute on arrays of numbers: the whole surface of the kernels.
//
// Bits are a contract. Every function does, for each element on its own, exactly the written
// operations in the written order, each rounded once to nearest-even in the dtype of the key: no
// fused multiply-add, no reassociation, denormals kept. So the result of an element does not depend
// on the CPU, the SIMD width, the position in the array, or how a value was cut into parts. The
// scalar reference (cpu/scalar.h) is the definition; tests hold every SIMD target to its bits.
// One exception: which NaN comes out of an operation on NaNs is not defined, only that it is one.
//
// Pointers need no alignment: payload slices cut elements at any byte. Arrays must not overlap,
// except where a function says so. The caller's floating-point environment must be the default one
// (round to nearest, no flush-to-zero).
//
// Threading: pure functions; one thread each, no pool behind them.
// dtypes: kFloat32 and kFloat64; KVS_CHECKs KernelsSupport(dtype), so refuse others before.
#pragma once

#include <cstddef>

#include "common/tensor/dtype.h"

namespace kvstore {

// The dtype in which values of `dtype` are summed: a sum of f16 or bf16 is an f32 and is rounded
// once, when it is complete.
constexpr DType AccumulatorOf(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kBFloat16 ? DType::kFloat32 : dtype;
}

constexpr bool KernelsSupport(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64;
}

// acc[i] = acc[i] + x[i]: one step of the left fold that sums a round. Moves 12 bytes per f32.
void Accumulate(DType dtype, void* acc, const void* x, size_t elements);

// dst[i] = (((xs[0][i] + xs[1][i]) + xs[2][i]) + …): the fold over `count` >= 1 arrays in one pass.
// It starts from the first value and not from 0, so that a lone -0.0 stays -0.0. Same bits as a
// copy of xs[0] and count - 1 times Accumulate, in 4 (count + 1) bytes per f32. `dst` may be one of
// the `xs`.
void LeftFold(DType dtype, void* dst, const void* const* xs, size_t count, size_t elements);

// The rules below make a new weight out of the old one and the gradient, and write it over the
// gradient: the old weight stays as it is, because pulls may still hold it.
//
// The numbers are given in double and rounded once to the dtype of the arrays.

// grad[i] = weight[i] + scale * grad[i].
void AddScaled(DType dtype, double scale, const void* weight, void* grad, size_t elements);

struct SgdNumbers {
  double learning_rate = 0.1;
  double rescale_grad = 1.0;
  double wd = 0.0;
  bool clip = false;           // whether clip_gradient applies
  double clip_gradient = 0.0;  // bound of the rescaled gradient, > 0
  double momentum = 0.0;       // SgdMomentum only
};

// For each element, w = weight[i]:
//   g = rescale_grad * grad[i]
//   if clip: g = clip_gradient where g > clip_gradient, -clip_gradient where g < -clip_gradient
//            (a NaN stays a NaN)
//   g = g + (wd * w)                 also when wd is 0
//   grad[i] = w - (learning_rate * g)
// Moves 12 bytes per f32.
void Sgd(DType dtype, const SgdNumbers& numbers, const void* weight, void* grad, size_t elements);

// g as in Sgd, then:
//   m = (momentum * mom[i]) - (learning_rate * g)
//   mom[i] = m
//   grad[i] = w + m
// Moves 20 bytes per f32.
void SgdMomentum(DType dtype, const SgdNumbers& numbers, const void* weight, void* mom, void* grad,
                 size_t elements);

}  // namespace kvstore
