// Conversions between f32 and the two 16-bit floats, in integers: the same bits on every machine.
// Rounding is to nearest, ties to even; denormals are kept; a NaN becomes a NaN with its sign.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

// For kernels of GPUs too (common/kernels/cuda): the very same code.
#ifdef __CUDACC__
#define KVS_HOST_DEVICE __host__ __device__
#else
#define KVS_HOST_DEVICE
#endif

namespace kvstore {

// An IEEE binary16: 5 bits of exponent, 10 of fraction.
struct F16 {
  uint16_t bits;
};

// The upper half of an f32: 8 bits of exponent, 7 of fraction.
struct BF16 {
  uint16_t bits;
};

KVS_HOST_DEVICE inline uint32_t BitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

KVS_HOST_DEVICE inline float FloatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// The f32 from which an f64 is rounded to 16 bits as if at once: exact, or that of its two
// neighbours whose last bit is 1. Rounded to nearest twice, 1 + 2^-11 + 2^-40 would become 1 +
// 2^-11, half-way between two f16s, and then 1; it is nearer to 1 + 2^-10. The odd neighbour, 1 +
// 2^-11 + 2^-23, stands for "a little more than half-way", whatever the distance.
inline float RoundedToOdd(double value) {
  const auto nearest = static_cast<float>(value);
  const auto back = static_cast<double>(nearest);
  if (back == value || std::isnan(value)) return nearest;
  const bool away = std::abs(back) > std::abs(value);  // from 0
  return FloatOf((BitsOf(nearest) - (away ? 1u : 0u)) | 1u);
}

KVS_HOST_DEVICE inline float ToF32(BF16 x) { return FloatOf(uint32_t{x.bits} << 16); }

KVS_HOST_DEVICE inline float ToF32(F16 x) {
  const uint32_t sign = (x.bits & 0x8000u) << 16;
  const uint32_t magnitude = (x.bits & 0x7fffu) << 13;
  if (magnitude >= 0x7c00u << 13) return FloatOf(sign | 0x7f800000u | magnitude);  // inf, NaN
  // As an f32 its exponent is 127 - 15 too low, also that of a denormal: an exact product.
  constexpr uint32_t kTwoTo112 = (127 + 112) << 23;
  return FloatOf(sign | BitsOf(FloatOf(magnitude) * FloatOf(kTwoTo112)));
}

KVS_HOST_DEVICE inline BF16 ToBF16(float value) {
  const uint32_t bits = BitsOf(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

KVS_HOST_DEVICE inline F16 ToF16(float value) {
  const uint32_t bits = BitsOf(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
  // From 65520 on, half a step above the largest, it is infinity.
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};
  if (magnitude < 0x38800000u) {  // below 2^-14: a denormal, a multiple of 2^-24
    // A number in [0.5, 1) has steps of 2^-24: the sum is rounded to one, and its fraction counts
    // them.
    constexpr uint32_t kHalf = 0x3f000000u;
    return {static_cast<uint16_t>(sign | (BitsOf(FloatOf(magnitude) + FloatOf(kHalf)) - kHalf))};
  }
  const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return {static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13))};
}

}  // namespace kvstore
