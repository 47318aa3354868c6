#include "common/kernels/cpu/scalar_updates.h"

#include <cmath>

#include "common/kernels/cpu/scalar.h"

namespace kvstore::scalar {
namespace {

template <typename T>
T Clipped(const UpdateConstants<T>& c, T g) {
  // Comparisons that are false for a NaN, so that it stays one.
  if (c.clip && g > c.clip_gradient) return c.clip_gradient;
  if (c.clip && g < -c.clip_gradient) return -c.clip_gradient;
  return g;
}

// The G of kernels.h.
template <typename T>
T Rescaled(const UpdateConstants<T>& c, T grad) {
  return Clipped(c, c.rescale_grad * grad);
}

// The g of kernels.h.
template <typename T>
T Decayed(const UpdateConstants<T>& c, T weight, T grad) {
  const T decay = c.wd * weight;
  return Rescaled(c, grad) + decay;
}

// What the learning rate makes of the gradient; mxnet1: without weight decay.
template <typename T>
T SgdStep(const SgdConstants<T>& c, T weight, T grad) {
  if (!c.mxnet1) return c.learning_rate * Decayed(c, weight, grad);
  return c.clip ? c.learning_rate * Rescaled(c, grad) : c.rate * grad;
}

}  // namespace

template <typename T>
void AddScaled(T scale, const void* weight, void* grad, size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    const T scaled = scale * Get<T>(grad, i);
    Put<T>(grad, i, Get<T>(weight, i) + scaled);
  }
}

template <typename T>
void Sgd(const SgdConstants<T>& c, const void* weight, void* grad, size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    const T w = Get<T>(weight, i);
    T step = SgdStep(c, w, Get<T>(grad, i));
    if (c.mxnet1) {
      const T decay = c.decay * w;
      step = decay + step;
    }
    Put<T>(grad, i, w - step);
  }
}

template <typename T>
void SgdMomentum(const SgdConstants<T>& c, const void* weight, void* mom, void* grad,
                 size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    const T w = Get<T>(weight, i);
    T kept = c.momentum * Get<T>(mom, i);
    if (c.mxnet1) {
      const T decay = c.decay * w;
      kept = kept - decay;
    }
    const T m = kept - SgdStep(c, w, Get<T>(grad, i));
    Put<T>(mom, i, m);
    Put<T>(grad, i, w + m);
  }
}

template <typename T>
void Adagrad(const AdagradConstants<T>& c, const void* weight, void* history, void* grad,
             size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    const T w = Get<T>(weight, i);
    const T s = Get<T>(grad, i);
    const T g = c.mxnet1 ? Rescaled(c, s) : Decayed(c, w, s);
    const T square = g * g;
    const T h = Get<T>(history, i) + square;
    T d;
    if (c.mxnet1) {
      const T decay = c.wd * w;
      d = g / std::sqrt(h + c.epsilon);
      d = d + decay;
    } else {
      d = g / (std::sqrt(h) + c.epsilon);
    }
    const T step = c.learning_rate * d;
    Put<T>(history, i, h);
    Put<T>(grad, i, w - step);
  }
}

template <typename T>
void Adam(const AdamConstants<T>& c, const void* weight, void* mean, void* var, void* grad,
          size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    const T w = Get<T>(weight, i);
    const T s = Get<T>(grad, i);
    T g;
    if (c.mxnet1) {
      const T scaled = c.rescale_grad * s;
      const T decay = c.wd * w;
      g = Clipped(c, scaled + decay);
    } else {
      g = Decayed(c, w, s);
    }
    const T old_mean = c.beta1 * Get<T>(mean, i);
    const T new_mean = c.new1 * g;
    const T m = old_mean + new_mean;
    const T old_var = c.beta2 * Get<T>(var, i);
    const T new_var = (c.new2 * g) * g;
    const T v = old_var + new_var;
    const T step = (c.learning_rate * m) / (std::sqrt(v) + c.epsilon);
    Put<T>(mean, i, m);
    Put<T>(var, i, v);
    Put<T>(grad, i, w - step);
  }
}

template <typename T>
void Ftrl(const FtrlConstants<T>& c, const void* weight, void* z, void* n, void* grad,
          size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    const T w = Get<T>(weight, i);
    const T g = Rescaled(c, Get<T>(grad, i));
    const T old_n = Get<T>(n, i);
    const T square = g * g;
    const T new_n = old_n + square;
    const T root = std::sqrt(new_n);
    const T pulled = ((root - std::sqrt(old_n)) * w) / c.learning_rate;
    const T new_z = Get<T>(z, i) + (g - pulled);
    T new_w = 0;
    if (!(std::abs(new_z) <= c.lamda1)) {
      new_w = (std::copysign(c.lamda1, new_z) - new_z) / ((c.beta + root) / c.learning_rate + c.wd);
    }
    Put<T>(z, i, new_z);
    Put<T>(n, i, new_n);
    Put<T>(grad, i, new_w);
  }
}

#define KVS_INSTANTIATE(T)                                                                  \
  template void AddScaled<T>(T, const void*, void*, size_t);                                \
  template void Sgd<T>(const SgdConstants<T>&, const void*, void*, size_t);                 \
  template void SgdMomentum<T>(const SgdConstants<T>&, const void*, void*, void*, size_t);  \
  template void Adagrad<T>(const AdagradConstants<T>&, const void*, void*, void*, size_t);  \
  template void Adam<T>(const AdamConstants<T>&, const void*, void*, void*, void*, size_t); \
  template void Ftrl<T>(const FtrlConstants<T>&, const void*, void*, void*, void*, size_t);
KVS_INSTANTIATE(float)
KVS_INSTANTIATE(double)
#undef KVS_INSTANTIATE

}  // namespace kvstore::scalar
