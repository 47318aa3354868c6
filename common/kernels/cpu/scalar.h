// The scalar reference of the sums and conversions of kernels.h: one element after the other. It is
// the definition of the bits, and does the last few elements for the SIMD code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "common/kernels/cpu/half.h"
#include "common/kernels/kernels.h"

namespace kvstore::scalar {

// A byte that is false when it is 0, else true.
struct Bool {
  uint8_t byte;
};

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

// What an element of T is summed in: T itself but for F16, BF16. Ints are summed as unsigned ones,
// which wrap.
template <typename T>
KVS_HOST_DEVICE T Widened(T x) {
  return x;
}
KVS_HOST_DEVICE inline float Widened(F16 x) { return ToF32(x); }
KVS_HOST_DEVICE inline float Widened(BF16 x) { return ToF32(x); }
KVS_HOST_DEVICE inline Bool Widened(Bool x) { return {static_cast<uint8_t>(x.byte != 0)}; }

template <typename T>
KVS_HOST_DEVICE T Sum(T a, T b) {
  return static_cast<T>(a + b);
}
KVS_HOST_DEVICE inline Bool Sum(Bool a, Bool b) {
  return Widened(Bool{static_cast<uint8_t>(a.byte | b.byte)});
}

template <typename T>
void Widen(void* acc, const void* x, size_t elements) {
  for (size_t i = 0; i < elements; ++i) Put(acc, i, Widened(Get<T>(x, i)));
}

template <typename T>
void Accumulate(void* acc, const void* x, size_t elements) {
  using A = decltype(Widened(T()));
  for (size_t i = 0; i < elements; ++i) Put(acc, i, Sum(Get<A>(acc, i), Widened(Get<T>(x, i))));
}

template <typename T>
void DivideBy(uint32_t divisor, void* acc, size_t elements) {
  for (size_t i = 0; i < elements; ++i) Put(acc, i, Get<T>(acc, i) / static_cast<T>(divisor));
}

// Elements [begin, elements) of all arrays.
template <typename T>
void LeftFold(void* dst, const void* const* xs, size_t count, size_t begin, size_t elements) {
  for (size_t i = begin; i < elements; ++i) {
    auto sum = Widened(Get<T>(xs[0], i));
    for (size_t k = 1; k < count; ++k) sum = Sum(sum, Widened(Get<T>(xs[k], i)));
    Put(dst, i, sum);
  }
}

// Rounds f32 to F16 or BF16.
template <typename T>
void Narrow(void* x, const void* acc, size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    if constexpr (std::is_same_v<T, F16>) {
      Put(x, i, ToF16(Get<float>(acc, i)));
    } else {
      Put(x, i, ToBF16(Get<float>(acc, i)));
    }
  }
}

}  // namespace kvstore::scalar
