// What the codecs of one and two bits an element do to one element: the scalar definition of their
// bits, for the loops of CPUs (common/codec/bit_codes.h) and the kernels of GPUs
// (common/kernels/cuda/codecs.cuh).
//
// Layout of the codes: elements come from the highest bits of a byte down. Two bits: element i is
// bits 7-6 of byte i/4 where i % 4 is 0, bits 1-0 where it is 3. One bit: element i is bit 7 of
// byte i/8 where i % 8 is 0. What is left of the last 32-bit word is zeros.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/kernels/cpu/half.h"

namespace kvstore {

constexpr size_t TwoBitBytes(size_t elements) { return (elements + 15) / 16 * 4; }
constexpr size_t OneBitBytes(size_t elements) { return (elements + 31) / 32 * 4; }

// A codec of so many bits an element, 2 (2bit) or 1 (1bit).
struct BitCode {
  uint32_t bits = 0;
  double threshold = 0;  // rounded to the dtype that is computed in

  constexpr size_t EncodedBytes(size_t elements) const {
    return bits == 2 ? TwoBitBytes(elements) : OneBitBytes(elements);
  }
};

namespace scalar {

// What becomes of an element: what is sent, and what is left over.
template <typename T>
struct Coded {
  unsigned code;
  T left;
};

// An x with x - x = 0 is finite.
template <typename T>
KVS_HOST_DEVICE T FiniteOrZero(T x) {
  return x - x == T{0} ? x : T{0};
}

// x >= threshold: code 11, and x loses the threshold; x <= -threshold: code 10, and x gains it;
// else (a NaN, too) code 00.
template <typename T>
KVS_HOST_DEVICE Coded<T> TwoBitCodeOf(T threshold, T x) {
  if (x >= threshold) return {3, FiniteOrZero(x - threshold)};
  if (x <= -threshold) return {2, FiniteOrZero(x + threshold)};
  return {0, FiniteOrZero(x)};
}
template <typename T>
KVS_HOST_DEVICE T TwoBitMeaning(T threshold, unsigned code) {
  return code == 3 ? threshold : code == 2 ? -threshold : T{0};
}

// x > threshold: bit 1, and x loses `step`; else bit 0, and x gains it.
template <typename T>
KVS_HOST_DEVICE Coded<T> OneBitCodeOf(T threshold, T step, T x) {
  if (x > threshold) return {1, FiniteOrZero(x - step)};
  return {0, FiniteOrZero(x + step)};
}
template <typename T>
KVS_HOST_DEVICE T OneBitMeaning(T step, unsigned code) {
  return code == 1 ? step : -step;
}

}  // namespace scalar
}  // namespace kvstore
