#include "common/kernels/cpu/scalar.h"

#include <cstdint>
#include <cstring>

namespace kvstore::scalar {
namespace {

// Element `i` of an array that may start at any byte.
template <typename T>
T Get(const void* array, size_t i) {
  T value;
  std::memcpy(&value, static_cast<const uint8_t*>(array) + i * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void Put(void* array, size_t i, T value) {
  std::memcpy(static_cast<uint8_t*>(array) + i * sizeof(T), &value, sizeof(T));
}

// Rescaled, clipped, with weight decay: the g of kernels.h.
template <typename T>
T Gradient(const SgdConstants<T>& c, T weight, T grad) {
  T g = c.rescale_grad * grad;
  if (c.clip) {
    // Written with comparisons that are false for a NaN, so that it stays one.
    if (g > c.clip_gradient) {
      g = c.clip_gradient;
    } else if (g < -c.clip_gradient) {
      g = -c.clip_gradient;
    }
  }
  const T decay = c.wd * weight;
  return g + decay;
}

}  // namespace

template <typename T>
void Accumulate(void* acc, const void* x, size_t elements) {
  for (size_t i = 0; i < elements; ++i) Put<T>(acc, i, Get<T>(acc, i) + Get<T>(x, i));
}

template <typename T>
void LeftFold(void* dst, const void* const* xs, size_t count, size_t begin, size_t elements) {
  for (size_t i = begin; i < elements; ++i) {
    T sum = Get<T>(xs[0], i);
    for (size_t k = 1; k < count; ++k) sum = sum + Get<T>(xs[k], i);
    Put<T>(dst, i, sum);
  }
}

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
    const T step = c.learning_rate * Gradient(c, w, Get<T>(grad, i));
    Put<T>(grad, i, w - step);
  }
}

template <typename T>
void SgdMomentum(const SgdConstants<T>& c, const void* weight, void* mom, void* grad,
                 size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    const T w = Get<T>(weight, i);
    const T kept = c.momentum * Get<T>(mom, i);
    const T step = c.learning_rate * Gradient(c, w, Get<T>(grad, i));
    const T m = kept - step;
    Put<T>(mom, i, m);
    Put<T>(grad, i, w + m);
  }
}

#define KVS_INSTANTIATE(T)                                                      \
  template void Accumulate<T>(void*, const void*, size_t);                      \
  template void LeftFold<T>(void*, const void* const*, size_t, size_t, size_t); \
  template void AddScaled<T>(T, const void*, void*, size_t);                    \
  template void Sgd<T>(const SgdConstants<T>&, const void*, void*, size_t);     \
  template void SgdMomentum<T>(const SgdConstants<T>&, const void*, void*, void*, size_t);
KVS_INSTANTIATE(float)
KVS_INSTANTIATE(double)
#undef KVS_INSTANTIATE

}  // namespace kvstore::scalar
