// The scalar reference: each kernel of kernels.h for one element after the other. It is the
// definition of the bits, and does the last few elements for the SIMD code.
#pragma once

#include <cstddef>

#include "common/kernels/kernels.h"

namespace kvstore::scalar {

// SgdNumbers, rounded once to the dtype of the arrays.
template <typename T>
struct SgdConstants {
  explicit SgdConstants(const SgdNumbers& numbers)
      : learning_rate(static_cast<T>(numbers.learning_rate)),
        rescale_grad(static_cast<T>(numbers.rescale_grad)),
        wd(static_cast<T>(numbers.wd)),
        clip(numbers.clip),
        clip_gradient(static_cast<T>(numbers.clip_gradient)),
        momentum(static_cast<T>(numbers.momentum)) {}

  T learning_rate;
  T rescale_grad;
  T wd;
  bool clip;
  T clip_gradient;
  T momentum;
};

// T is float or double.
template <typename T>
void Accumulate(void* acc, const void* x, size_t elements);
// Elements [begin, elements) of all arrays.
template <typename T>
void LeftFold(void* dst, const void* const* xs, size_t count, size_t begin, size_t elements);
template <typename T>
void AddScaled(T scale, const void* weight, void* grad, size_t elements);
template <typename T>
void Sgd(const SgdConstants<T>& c, const void* weight, void* grad, size_t elements);
template <typename T>
void SgdMomentum(const SgdConstants<T>& c, const void* weight, void* mom, void* grad,
                 size_t elements);

}  // namespace kvstore::scalar
