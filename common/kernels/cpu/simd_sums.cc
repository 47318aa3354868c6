// Sums and conversions in SIMD, compiled once per instruction set and chosen at run time by
// Highway. Whole vectors go here, the elements that remain go to the scalar reference. Conversions
// are those of half.h, operation by operation: the machines' own differ in what they round and how.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "common/base/check.h"
#include "common/kernels/cpu/scalar.h"
#include "common/kernels/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/kernels/cpu/simd_sums.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "common/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kvstore {
namespace HWY_NAMESPACE {
namespace {

using F32 = hn::ScalableTag<float>;
using U32 = hn::ScalableTag<uint32_t>;
using U16 = hn::Rebind<uint16_t, U32>;  // as many lanes
using VF32 = hn::Vec<F32>;
using VU32 = hn::Vec<U32>;

// Elements of T as vectors of what they are summed in.
template <typename T>
struct Element {
  using D = hn::ScalableTag<T>;
  static hn::Vec<D> Widened(const uint8_t* at) { return Get(D(), at); }
};

template <>
struct Element<BF16> {
  using D = F32;
  static VF32 Widened(const uint8_t* at) {
    const VU32 bits = hn::PromoteTo(U32(), Get(U16(), at));
    return hn::BitCast(F32(), hn::ShiftLeft<16>(bits));
  }
  static VU32 Narrowed(VF32 value) {
    const U32 u;
    const VU32 bits = hn::BitCast(u, value);
    const VU32 odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1));
    const VU32 rounded = hn::Add(bits, hn::Add(odd, hn::Set(u, 0x7fff)));
    const VU32 quiet = hn::Or(bits, hn::Set(u, 0x400000));
    const auto nan = hn::RebindMask(u, hn::IsNaN(value));
    return hn::ShiftRight<16>(hn::IfThenElse(nan, quiet, rounded));
  }
};

template <>
struct Element<F16> {
  using D = F32;
  static VF32 Widened(const uint8_t* at) {
    const F32 f;
    const U32 u;
    const VU32 bits = hn::PromoteTo(u, Get(U16(), at));
    const VU32 sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(u, 0x8000)));
    const VU32 magnitude = hn::ShiftLeft<13>(hn::And(bits, hn::Set(u, 0x7fff)));
    const VF32 scaled = hn::Mul(hn::BitCast(f, magnitude), hn::Set(f, 0x1p112f));
    // Infinities and NaNs come out as numbers from 2^16 on.
    const auto special = hn::Ge(scaled, hn::Set(f, 0x1p16f));
    const VF32 exponent = hn::BitCast(f, hn::Set(u, 0x7f800000));
    const VF32 number =
        hn::IfThenElse(special, hn::Or(hn::BitCast(f, magnitude), exponent), scaled);
    return hn::Or(number, hn::BitCast(f, sign));
  }
  static VU32 Narrowed(VF32 value) {
    const F32 f;
    const U32 u;
    const VU32 bits = hn::BitCast(u, value);
    const VF32 absolute = hn::Abs(value);
    const VU32 magnitude = hn::BitCast(u, absolute);
    const VU32 sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 0x8000));
    const VU32 odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(u, 1));
    const VU32 rounded = hn::Add(magnitude, hn::Add(odd, hn::Set(u, 0xfff)));
    const VU32 normal = hn::ShiftRight<13>(hn::Sub(rounded, hn::Set(u, 112u << 23)));
    const VF32 half = hn::Set(f, 0.5f);
    const VU32 denormal = hn::Sub(hn::BitCast(u, hn::Add(absolute, half)), hn::BitCast(u, half));
    const auto is_denormal = hn::RebindMask(u, hn::Lt(absolute, hn::Set(f, 0x1p-14f)));
    const auto too_large = hn::RebindMask(u, hn::Ge(absolute, hn::Set(f, 65520.0f)));
    const auto nan = hn::RebindMask(u, hn::IsNaN(value));
    VU32 out = hn::IfThenElse(is_denormal, denormal, normal);
    out = hn::IfThenElse(too_large, hn::Set(u, 0x7c00), out);
    out = hn::IfThenElse(nan, hn::Set(u, 0x7e00), out);
    return hn::Or(out, sign);
  }
};

template <typename T>
void WidenOf(uint8_t* acc, const uint8_t* x, size_t elements) {
  const F32 f;
  ForEachVector(
      f, elements, [=](size_t i) HWY_ATTR { Put(f, Element<T>::Widened(x + i * 2), acc + i * 4); },
      [=](size_t i, size_t left) HWY_ATTR { scalar::Widen<T>(acc + i * 4, x + i * 2, left); });
}

template <typename T>
void NarrowOf(uint8_t* x, const uint8_t* acc, size_t elements) {
  const F32 f;
  ForEachVector(
      f, elements,
      [=](size_t i) HWY_ATTR {
        // At most 0xffff: nothing saturates.
        const auto bits =
            hn::BitCast(hn::RebindToSigned<U32>(), Element<T>::Narrowed(Get(f, acc + i * 4)));
        Put(U16(), hn::DemoteTo(U16(), bits), x + i * 2);
      },
      [=](size_t i, size_t left) HWY_ATTR { scalar::Narrow<T>(x + i * 2, acc + i * 4, left); });
}

template <typename T>
void AccumulateOf(uint8_t* acc, const uint8_t* x, size_t elements) {
  using E = Element<T>;
  const typename E::D d;
  constexpr size_t kAcc = sizeof(hn::TFromD<typename E::D>);
  ForEachVector(
      d, elements,
      [=](size_t i) HWY_ATTR {
        uint8_t* to = acc + i * kAcc;
        Put(d, hn::Add(Get(d, to), E::Widened(x + i * sizeof(T))), to);
      },
      [=](size_t i, size_t left)
          HWY_ATTR { scalar::Accumulate<T>(acc + i * kAcc, x + i * sizeof(T), left); });
}

template <typename T>
void DivideByOf(uint32_t divisor, uint8_t* acc, size_t elements) {
  const hn::ScalableTag<T> d;
  const auto by = hn::Set(d, static_cast<T>(divisor));
  ForEachVector(
      d, elements,
      [=](size_t i)
          HWY_ATTR { Put(d, hn::Div(Get(d, acc + i * sizeof(T)), by), acc + i * sizeof(T)); },
      [=](size_t i, size_t left)
          HWY_ATTR { scalar::DivideBy<T>(divisor, acc + i * sizeof(T), left); });
}

// How many bytes there are from `at` to the next boundary of a vector.
template <class D>
size_t BytesToVector(D d, const uint8_t* at) {
  const size_t vector = hn::Lanes(d) * sizeof(hn::TFromD<D>);
  return (vector - reinterpret_cast<uintptr_t>(at) % vector) % vector;
}

// Writes where the vectors of `dst` begin if the stores are streamed: the elements before are the
// caller's.
template <typename T, bool kStreams>
void FoldVectors(uint8_t* dst, const void* const* xs, size_t count, size_t i, size_t elements) {
  using E = Element<T>;
  const typename E::D d;
  constexpr size_t kAcc = sizeof(hn::TFromD<typename E::D>);
  const size_t lanes = hn::Lanes(d);
  const size_t step = lanes * sizeof(T);
  const auto source = [xs](size_t k) HWY_ATTR { return static_cast<const uint8_t*>(xs[k]); };
  const auto put = [d](decltype(hn::Zero(d)) v, uint8_t* to) HWY_ATTR {
    if constexpr (kStreams) {
      PutStreamed(d, v, to);
    } else {
      Put(d, v, to);
    }
  };
  // Four vectors at a time: the loop over the arrays is short, and its additions would wait for
  // each other.
  for (; i + 4 * lanes <= elements; i += 4 * lanes) {
    const size_t at = i * sizeof(T);
    const uint8_t* x = source(0) + at;
    auto a = E::Widened(x);
    auto b = E::Widened(x + step);
    auto c = E::Widened(x + 2 * step);
    auto e = E::Widened(x + 3 * step);
    for (size_t k = 1; k < count; ++k) {
      x = source(k) + at;
      a = hn::Add(a, E::Widened(x));
      b = hn::Add(b, E::Widened(x + step));
      c = hn::Add(c, E::Widened(x + 2 * step));
      e = hn::Add(e, E::Widened(x + 3 * step));
    }
    uint8_t* to = dst + i * kAcc;
    put(a, to);
    put(b, to + lanes * kAcc);
    put(c, to + 2 * lanes * kAcc);
    put(e, to + 3 * lanes * kAcc);
  }
  for (; i + lanes <= elements; i += lanes) {
    const size_t at = i * sizeof(T);
    auto a = E::Widened(source(0) + at);
    for (size_t k = 1; k < count; ++k) a = hn::Add(a, E::Widened(source(k) + at));
    put(a, dst + i * kAcc);
  }
  if (i < elements) scalar::LeftFold<T>(dst, xs, count, i, elements);
}

template <typename T>
void LeftFoldOf(uint8_t* dst, const void* const* xs, size_t count, size_t elements, Stores stores) {
  using D = typename Element<T>::D;
  constexpr size_t kAcc = sizeof(hn::TFromD<D>);
  const size_t before = BytesToVector(D(), dst);
  if (stores == Stores::kCached || before % kAcc != 0) {
    return FoldVectors<T, false>(dst, xs, count, 0, elements);
  }
  const size_t first = std::min(before / kAcc, elements);
  scalar::LeftFold<T>(dst, xs, count, 0, first);
  FoldVectors<T, true>(dst, xs, count, first, elements);
  hwy::FlushStream();
}

// To places that begin as far from a vector's boundary as each other.
void SpreadAlike(uint8_t* const* dsts, size_t count, const uint8_t* src, size_t bytes) {
  const hn::ScalableTag<uint8_t> d;
  const size_t lanes = hn::Lanes(d);
  const auto copy = [=](size_t from, size_t size) {
    for (size_t k = 0; k < count && size > 0; ++k) std::memcpy(dsts[k] + from, src + from, size);
  };
  size_t i = std::min(BytesToVector(d, dsts[0]), bytes);
  copy(0, i);
  for (; i + 4 * lanes <= bytes; i += 4 * lanes) {
    const auto a = Get(d, src + i);
    const auto b = Get(d, src + i + lanes);
    const auto c = Get(d, src + i + 2 * lanes);
    const auto e = Get(d, src + i + 3 * lanes);
    for (size_t k = 0; k < count; ++k) {
      uint8_t* to = dsts[k] + i;
      PutStreamed(d, a, to);
      PutStreamed(d, b, to + lanes);
      PutStreamed(d, c, to + 2 * lanes);
      PutStreamed(d, e, to + 3 * lanes);
    }
  }
  hwy::FlushStream();
  copy(i, bytes - i);
}

}  // namespace

// The entries of the dispatch tables, one per target: not in the unnamed namespace. Ints are summed
// as unsigned ones of their size.

void AccumulateSimd(DType dtype, uint8_t* acc, const uint8_t* x, size_t elements) {
  switch (dtype) {
    case DType::kFloat32:
      return AccumulateOf<float>(acc, x, elements);
    case DType::kFloat64:
      return AccumulateOf<double>(acc, x, elements);
    case DType::kFloat16:
      return AccumulateOf<F16>(acc, x, elements);
    case DType::kBFloat16:
      return AccumulateOf<BF16>(acc, x, elements);
    case DType::kUInt8:
    case DType::kInt8:
      return AccumulateOf<uint8_t>(acc, x, elements);
    case DType::kInt32:
      return AccumulateOf<uint32_t>(acc, x, elements);
    case DType::kInt64:
      return AccumulateOf<uint64_t>(acc, x, elements);
    case DType::kBool:
      return scalar::Accumulate<scalar::Bool>(acc, x, elements);
    case DType::kUnspecified:
      return;
  }
}

void DivideBySimd(DType dtype, uint32_t divisor, uint8_t* acc, size_t elements) {
  dtype == DType::kFloat32 ? DivideByOf<float>(divisor, acc, elements)
                           : DivideByOf<double>(divisor, acc, elements);
}

void LeftFoldSimd(DType dtype, uint8_t* dst, const void* const* xs, size_t count, size_t elements,
                  Stores stores) {
  switch (dtype) {
    case DType::kFloat32:
      return LeftFoldOf<float>(dst, xs, count, elements, stores);
    case DType::kFloat64:
      return LeftFoldOf<double>(dst, xs, count, elements, stores);
    case DType::kFloat16:
      return LeftFoldOf<F16>(dst, xs, count, elements, stores);
    case DType::kBFloat16:
      return LeftFoldOf<BF16>(dst, xs, count, elements, stores);
    case DType::kUInt8:
    case DType::kInt8:
      return LeftFoldOf<uint8_t>(dst, xs, count, elements, stores);
    case DType::kInt32:
      return LeftFoldOf<uint32_t>(dst, xs, count, elements, stores);
    case DType::kInt64:
      return LeftFoldOf<uint64_t>(dst, xs, count, elements, stores);
    case DType::kBool:
      return scalar::LeftFold<scalar::Bool>(dst, xs, count, 0, elements);
    case DType::kUnspecified:
      return;
  }
}

void SpreadSimd(uint8_t* const* dsts, size_t count, const uint8_t* src, size_t bytes) {
  const hn::ScalableTag<uint8_t> d;
  const size_t before = BytesToVector(d, dsts[0]);
  const bool alike = std::all_of(
      dsts, dsts + count, [=](const uint8_t* dst) { return BytesToVector(d, dst) == before; });
  if (alike) return SpreadAlike(dsts, count, src, bytes);
  constexpr size_t kBlock = size_t{64} << 10;  // read once for all, then from the cache
  for (size_t i = 0; i < bytes; i += kBlock) {
    for (size_t k = 0; k < count; ++k) {
      uint8_t* const to = dsts[k] + i;
      SpreadAlike(&to, 1, src + i, std::min(kBlock, bytes - i));
    }
  }
}

void WidenSimd(DType dtype, uint8_t* acc, const uint8_t* x, size_t elements) {
  dtype == DType::kFloat16 ? WidenOf<F16>(acc, x, elements) : WidenOf<BF16>(acc, x, elements);
}

void NarrowSimd(DType dtype, uint8_t* x, const uint8_t* acc, size_t elements) {
  dtype == DType::kFloat16 ? NarrowOf<F16>(x, acc, elements) : NarrowOf<BF16>(x, acc, elements);
}

}  // namespace HWY_NAMESPACE
}  // namespace kvstore
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvstore {
namespace {

HWY_EXPORT(AccumulateSimd);
HWY_EXPORT(DivideBySimd);
HWY_EXPORT(LeftFoldSimd);
HWY_EXPORT(SpreadSimd);
HWY_EXPORT(WidenSimd);
HWY_EXPORT(NarrowSimd);

const uint8_t* Bytes(const void* p) { return static_cast<const uint8_t*>(p); }
uint8_t* Bytes(void* p) { return static_cast<uint8_t*>(p); }

}  // namespace

void Widen(DType dtype, void* acc, const void* x, size_t elements) {
  KVS_CHECK(DTypeBytes(dtype) != 0);
  if (AccumulatorOf(dtype) != dtype) {
    HWY_DYNAMIC_DISPATCH(WidenSimd)(dtype, Bytes(acc), Bytes(x), elements);
  } else if (dtype == DType::kBool) {
    scalar::Widen<scalar::Bool>(acc, x, elements);
  } else if (elements > 0) {
    std::memcpy(acc, x, elements * DTypeBytes(dtype));
  }
}

void Narrow(DType dtype, void* x, const void* acc, size_t elements) {
  KVS_CHECK(DTypeBytes(dtype) != 0);
  if (AccumulatorOf(dtype) != dtype) {
    HWY_DYNAMIC_DISPATCH(NarrowSimd)(dtype, Bytes(x), Bytes(acc), elements);
  } else if (elements > 0) {
    std::memcpy(x, acc, elements * DTypeBytes(dtype));
  }
}

void Accumulate(DType dtype, void* acc, const void* x, size_t elements) {
  KVS_CHECK(DTypeBytes(dtype) != 0);
  HWY_DYNAMIC_DISPATCH(AccumulateSimd)(dtype, Bytes(acc), Bytes(x), elements);
}

void DivideBy(DType dtype, uint32_t divisor, void* acc, size_t elements) {
  KVS_CHECK(dtype == DType::kFloat32 || dtype == DType::kFloat64);
  HWY_DYNAMIC_DISPATCH(DivideBySimd)(dtype, divisor, Bytes(acc), elements);
}

void LeftFold(DType dtype, void* dst, const void* const* xs, size_t count, size_t elements,
              Stores stores) {
  KVS_CHECK(DTypeBytes(dtype) != 0 && count >= 1);
  HWY_DYNAMIC_DISPATCH(LeftFoldSimd)(dtype, Bytes(dst), xs, count, elements, stores);
}

void Spread(void* const* dsts, size_t count, const void* src, size_t bytes) {
  constexpr size_t kAtATime = 8;
  uint8_t* places[kAtATime];
  for (size_t k = 0; k < count; k += kAtATime) {
    const size_t n = std::min(kAtATime, count - k);
    std::transform(dsts + k, dsts + k + n, places, [](void* dst) { return Bytes(dst); });
    HWY_DYNAMIC_DISPATCH(SpreadSimd)(places, n, Bytes(src), bytes);
  }
}

void RoundedFold(DType dtype, void* dst, const void* const* xs, size_t count, size_t elements) {
  if (AccumulatorOf(dtype) == dtype) return LeftFold(dtype, dst, xs, count, elements);
  constexpr size_t kBlock = 1024;
  float sums[kBlock];
  std::vector<const void*> block(xs, xs + count);
  for (size_t i = 0; i < elements; i += kBlock) {
    const size_t n = std::min(kBlock, elements - i);
    LeftFold(dtype, sums, block.data(), count, n);
    Narrow(dtype, Bytes(dst) + i * DTypeBytes(dtype), sums, n);
    for (const void*& x : block) x = Bytes(x) + n * DTypeBytes(dtype);
  }
}

}  // namespace kvstore

#endif  // HWY_ONCE
