// The encoders of bit_codes.h in SIMD, compiled once per instruction set and chosen at run time by
// Highway. Eight elements at a time: comparisons make masks, masks become bits, and a table spreads
// these to their places. Compares, adds and subtractions alone: each lane has the scalar's bits.
#include "common/codec/bit_codes.h"

#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/codec/bit_codes.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "common/kernels/cpu/simd-inl.h"

#ifndef KVS_BIT_TABLES
#define KVS_BIT_TABLES
namespace kvstore {
namespace {

// A mask of eight elements (bit 0: the first) as the two bytes of their codes with the upper bit
// set: 0b00000011 is 0b10100000, 0.
constexpr std::array<uint16_t, 256> MakeSpread() {
  std::array<uint16_t, 256> spread{};
  for (unsigned mask = 0; mask < 256; ++mask) {
    for (unsigned i = 0; i < 8; ++i) {
      if ((mask >> i & 1) != 0)
        spread[mask] |= static_cast<uint16_t>(1u << (i / 4 * 8 + 7 - i % 4 * 2));
    }
  }
  return spread;
}
constexpr std::array<uint16_t, 256> kSpread = MakeSpread();

// The same bits, the first one highest.
constexpr std::array<uint8_t, 256> MakeReversed() {
  std::array<uint8_t, 256> reversed{};
  for (unsigned mask = 0; mask < 256; ++mask) {
    for (unsigned i = 0; i < 8; ++i) {
      if ((mask >> i & 1) != 0) reversed[mask] |= static_cast<uint8_t>(1u << (7 - i));
    }
  }
  return reversed;
}
constexpr std::array<uint8_t, 256> kReversed = MakeReversed();

// `positive`, `negative`: masks of eight elements with the codes 11 and 10.
inline void PutTwoBits(unsigned positive, unsigned negative, uint8_t* encoded) {
  const unsigned codes = kSpread[positive | negative] | kSpread[positive] >> 1;
  encoded[0] = static_cast<uint8_t>(codes);
  encoded[1] = static_cast<uint8_t>(codes >> 8);
}

// Up to eight elements; what the codes of the rest of two bytes would be is zeros.
template <typename T>
void TwoBitScalar(T threshold, T* values, size_t elements, uint8_t* codes) {
  unsigned positive = 0;
  unsigned negative = 0;
  for (size_t i = 0; i < elements; ++i) {
    const scalar::Coded<T> coded = scalar::TwoBitCodeOf(threshold, values[i]);
    if (coded.code == 3) positive |= 1u << i;
    if (coded.code == 2) negative |= 1u << i;
    values[i] = coded.left;
  }
  PutTwoBits(positive, negative, codes);
}

template <typename T>
uint8_t OneBitScalar(T threshold, T step, T* values, size_t elements) {
  unsigned above = 0;
  for (size_t i = 0; i < elements; ++i) {
    const scalar::Coded<T> coded = scalar::OneBitCodeOf(threshold, step, values[i]);
    above |= coded.code << i;
    values[i] = coded.left;
  }
  return kReversed[above];
}

}  // namespace
}  // namespace kvstore
#endif  // KVS_BIT_TABLES

HWY_BEFORE_NAMESPACE();
namespace kvstore {
namespace HWY_NAMESPACE {
namespace {

template <typename T>
void TwoBitOf(T threshold, T* values, size_t elements, uint8_t* encoded) {
  size_t i = 0;
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  if (lanes % 8 == 0) {
    const auto zero = hn::Zero(d);
    const auto upper = hn::Set(d, threshold);
    const auto lower = hn::Set(d, -threshold);
    auto* const bytes = reinterpret_cast<uint8_t*>(values);
    // An x with x - x = 0 is finite.
    for (; i + lanes <= elements; i += lanes) {
      const auto x = Get(d, bytes + i * sizeof(T));
      const auto positive = hn::Ge(x, upper);
      const auto negative = hn::Le(x, lower);
      const auto moved = hn::IfThenElse(positive, upper, hn::IfThenElse(negative, lower, zero));
      const auto left = hn::Sub(x, moved);
      Put(d, hn::IfThenElseZero(hn::Eq(hn::Sub(left, left), zero), left), bytes + i * sizeof(T));
      uint8_t ups[HWY_MAX_BYTES];
      uint8_t downs[HWY_MAX_BYTES];
      hn::StoreMaskBits(d, positive, ups);
      hn::StoreMaskBits(d, negative, downs);
      for (size_t group = 0; group < lanes / 8; ++group) {
        PutTwoBits(ups[group], downs[group], encoded + i / 4 + group * 2);
      }
    }
  }
  for (; i + 8 <= elements; i += 8) TwoBitScalar(threshold, values + i, 8, encoded + i / 4);
  for (size_t at = i / 4; at < TwoBitBytes(elements); ++at) encoded[at] = 0;
  if (i < elements) {
    uint8_t codes[2];
    TwoBitScalar(threshold, values + i, elements - i, codes);
    encoded[i / 4] = codes[0];
    encoded[i / 4 + 1] = codes[1];
  }
}

template <typename T>
void OneBitOf(T threshold, T step, T* values, size_t elements, uint8_t* encoded) {
  size_t i = 0;
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  if (lanes % 8 == 0) {
    const auto zero = hn::Zero(d);
    const auto bound = hn::Set(d, threshold);
    const auto down = hn::Set(d, step);
    const auto up = hn::Set(d, -step);
    auto* const bytes = reinterpret_cast<uint8_t*>(values);
    for (; i + lanes <= elements; i += lanes) {
      const auto x = Get(d, bytes + i * sizeof(T));
      const auto above = hn::Gt(x, bound);
      const auto left = hn::Sub(x, hn::IfThenElse(above, down, up));
      Put(d, hn::IfThenElseZero(hn::Eq(hn::Sub(left, left), zero), left), bytes + i * sizeof(T));
      uint8_t bits[HWY_MAX_BYTES];
      hn::StoreMaskBits(d, above, bits);
      for (size_t group = 0; group < lanes / 8; ++group) {
        encoded[i / 8 + group] = kReversed[bits[group]];
      }
    }
  }
  for (; i + 8 <= elements; i += 8) encoded[i / 8] = OneBitScalar(threshold, step, values + i, 8);
  for (size_t at = i / 8; at < OneBitBytes(elements); ++at) encoded[at] = 0;
  if (i < elements) encoded[i / 8] = OneBitScalar(threshold, step, values + i, elements - i);
}

void TwoBitF32(float threshold, float* values, size_t elements, uint8_t* encoded) {
  TwoBitOf(threshold, values, elements, encoded);
}
void TwoBitF64(double threshold, double* values, size_t elements, uint8_t* encoded) {
  TwoBitOf(threshold, values, elements, encoded);
}
void OneBitF32(float threshold, float step, float* values, size_t elements, uint8_t* encoded) {
  OneBitOf(threshold, step, values, elements, encoded);
}
void OneBitF64(double threshold, double step, double* values, size_t elements, uint8_t* encoded) {
  OneBitOf(threshold, step, values, elements, encoded);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace kvstore
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvstore {

HWY_EXPORT(TwoBitF32);
HWY_EXPORT(TwoBitF64);
HWY_EXPORT(OneBitF32);
HWY_EXPORT(OneBitF64);

void EncodeTwoBit(float threshold, float* values, size_t elements, uint8_t* encoded) {
  HWY_DYNAMIC_DISPATCH(TwoBitF32)(threshold, values, elements, encoded);
}
void EncodeTwoBit(double threshold, double* values, size_t elements, uint8_t* encoded) {
  HWY_DYNAMIC_DISPATCH(TwoBitF64)(threshold, values, elements, encoded);
}
void EncodeOneBit(float threshold, float step, float* values, size_t elements, uint8_t* encoded) {
  HWY_DYNAMIC_DISPATCH(OneBitF32)(threshold, step, values, elements, encoded);
}
void EncodeOneBit(double threshold, double step, double* values, size_t elements,
                  uint8_t* encoded) {
  HWY_DYNAMIC_DISPATCH(OneBitF64)(threshold, step, values, elements, encoded);
}

}  // namespace kvstore
#endif  // HWY_ONCE
