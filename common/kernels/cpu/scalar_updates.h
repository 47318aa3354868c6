// The scalar reference of the updates of kernels.h: the definition of their bits (see scalar.h).
#pragma once

#include <cstddef>

#include "common/kernels/kernels.h"

namespace kvstore::scalar {

// UpdateNumbers, rounded once to the dtype of the arrays. T is float or double.
template <typename T>
struct UpdateConstants {
  explicit UpdateConstants(const UpdateNumbers& numbers)
      : learning_rate(static_cast<T>(numbers.learning_rate)),
        rescale_grad(static_cast<T>(numbers.rescale_grad)),
        wd(static_cast<T>(numbers.wd)),
        clip(numbers.clip),
        clip_gradient(static_cast<T>(numbers.clip_gradient)),
        mxnet1(numbers.mxnet1) {}

  T learning_rate;
  T rescale_grad;
  T wd;
  bool clip;
  T clip_gradient;
  bool mxnet1;
};

template <typename T>
struct SgdConstants : UpdateConstants<T> {
  explicit SgdConstants(const SgdNumbers& numbers)
      : UpdateConstants<T>(numbers),
        momentum(static_cast<T>(numbers.momentum)),
        decay(this->learning_rate * this->wd),
        rate(this->learning_rate * this->rescale_grad) {}

  T momentum;
  T decay;  // mxnet1
  T rate;   // mxnet1 without clipping
};

template <typename T>
struct AdagradConstants : UpdateConstants<T> {
  explicit AdagradConstants(const AdagradNumbers& numbers)
      : UpdateConstants<T>(numbers), epsilon(static_cast<T>(numbers.epsilon)) {}

  T epsilon;
};

template <typename T>
struct AdamConstants : UpdateConstants<T> {
  explicit AdamConstants(const AdamNumbers& numbers)
      : UpdateConstants<T>(numbers),
        beta1(static_cast<T>(numbers.beta1)),
        beta2(static_cast<T>(numbers.beta2)),
        new1(T(1) - beta1),
        new2(T(1) - beta2),
        epsilon(static_cast<T>(numbers.epsilon)) {}

  T beta1, beta2;
  T new1, new2;  // the shares of the new gradient
  T epsilon;
};

template <typename T>
struct FtrlConstants : UpdateConstants<T> {
  explicit FtrlConstants(const FtrlNumbers& numbers)
      : UpdateConstants<T>(numbers),
        lamda1(static_cast<T>(numbers.lamda1)),
        beta(static_cast<T>(numbers.beta)) {}

  T lamda1;
  T beta;
};

template <typename T>
void AddScaled(T scale, const void* weight, void* grad, size_t elements);
template <typename T>
void Sgd(const SgdConstants<T>& c, const void* weight, void* grad, size_t elements);
template <typename T>
void SgdMomentum(const SgdConstants<T>& c, const void* weight, void* mom, void* grad,
                 size_t elements);
template <typename T>
void Adagrad(const AdagradConstants<T>& c, const void* weight, void* history, void* grad,
             size_t elements);
template <typename T>
void Adam(const AdamConstants<T>& c, const void* weight, void* mean, void* var, void* grad,
          size_t elements);
template <typename T>
void Ftrl(const FtrlConstants<T>& c, const void* weight, void* z, void* n, void* grad,
          size_t elements);

}  // namespace kvstore::scalar
