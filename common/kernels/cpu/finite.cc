// Numbers that are not finite, in SIMD, compiled once per instruction set and chosen at run time by
// Highway: a float is looked at as the unsigned number of its bits.
#include "common/kernels/finite.h"

#include "common/kernels/cpu/scalar.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/kernels/cpu/finite.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "common/kernels/cpu/simd-inl.h"

#ifndef KVS_FINITE_SCALAR
#define KVS_FINITE_SCALAR
namespace kvstore::scalar {

// The exponent's bits of a float of as many bits as Bits.
template <typename Bits>
bool NotFinite(Bits bits, Bits exponent) {
  return (bits & exponent) == exponent;
}

// The first of the elements [begin, elements), or `elements`.
template <typename Bits>
size_t FirstNotFinite(const void* x, Bits exponent, size_t begin, size_t elements) {
  size_t i = begin;
  while (i < elements && !NotFinite(Get<Bits>(x, i), exponent)) ++i;
  return i;
}

}  // namespace kvstore::scalar
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore {
namespace HWY_NAMESPACE {
namespace {

template <typename Bits>
size_t FirstOf(const uint8_t* x, Bits exponent, size_t elements) {
  const hn::ScalableTag<Bits> d;
  const auto ones = hn::Set(d, exponent);
  const size_t lanes = hn::Lanes(d);
  const auto at = [=](size_t i) HWY_ATTR {
    return hn::Eq(hn::And(Get(d, x + i * sizeof(Bits)), ones), ones);
  };
  size_t i = 0;
  // Four vectors for one branch; which element it is, the scalar code finds.
  for (; i + 4 * lanes <= elements; i += 4 * lanes) {
    const auto any =
        hn::Or(hn::Or(at(i), at(i + lanes)), hn::Or(at(i + 2 * lanes), at(i + 3 * lanes)));
    if (!hn::AllFalse(d, any)) break;
  }
  return scalar::FirstNotFinite<Bits>(x, exponent, i, elements);
}

}  // namespace

size_t FirstNotFiniteSimd(DType dtype, const uint8_t* x, size_t elements) {
  switch (dtype) {
    case DType::kFloat32:
      return FirstOf<uint32_t>(x, 0x7f800000, elements);
    case DType::kFloat64:
      return FirstOf<uint64_t>(x, 0x7ff0000000000000, elements);
    case DType::kFloat16:
      return FirstOf<uint16_t>(x, 0x7c00, elements);
    case DType::kBFloat16:
      return FirstOf<uint16_t>(x, 0x7f80, elements);
    default:
      return elements;  // an int or a bool
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace kvstore
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvstore {
namespace {

HWY_EXPORT(FirstNotFiniteSimd);

}  // namespace

size_t FirstNotFinite(DType dtype, const void* x, size_t elements) {
  return HWY_DYNAMIC_DISPATCH(FirstNotFiniteSimd)(dtype, static_cast<const uint8_t*>(x), elements);
}

// There are few of them, if any: what counts is to find them.
size_t ZeroNotFinite(DType dtype, void* x, size_t elements) {
  auto* const bytes = static_cast<uint8_t*>(x);
  const size_t width = DTypeBytes(dtype);
  size_t zeroed = 0;
  for (size_t i = 0; i < elements; ++i) {
    i += FirstNotFinite(dtype, bytes + i * width, elements - i);
    if (i == elements) break;
    std::memset(bytes + i * width, 0, width);
    ++zeroed;
  }
  return zeroed;
}

}  // namespace kvstore

#endif  // HWY_ONCE
