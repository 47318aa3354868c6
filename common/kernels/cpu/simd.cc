// The kernels of kernels.h in SIMD, compiled once per instruction set and chosen at run time by
// Highway. Whole vectors go here, the elements that remain go to the scalar reference. Only
// correctly rounded operations are used (add, subtract, multiply, compare, select) and no MulAdd,
// so each lane has the scalar's bits.
#include <cstdint>
#include <cstring>

#include "common/base/check.h"
#include "common/kernels/cpu/scalar.h"
#include "common/kernels/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/kernels/cpu/simd.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvstore {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Arrays start at any byte, so vectors are moved as bytes and given their type in registers.
#if HWY_TARGET == HWY_SCALAR
template <class D>
hn::Vec<D> Get(D d, const uint8_t* at) {
  hn::TFromD<D> value;
  std::memcpy(&value, at, sizeof(value));
  return hn::Set(d, value);
}

template <class D>
void Put(D, hn::Vec<D> v, uint8_t* at) {
  const hn::TFromD<D> value = hn::GetLane(v);
  std::memcpy(at, &value, sizeof(value));
}
#else
template <class D>
hn::Vec<D> Get(D d, const uint8_t* at) {
  return hn::BitCast(d, hn::LoadU(hn::Repartition<uint8_t, D>(), at));
}

template <class D>
void Put(D, hn::Vec<D> v, uint8_t* at) {
  const hn::Repartition<uint8_t, D> bytes;
  hn::StoreU(hn::BitCast(bytes, v), bytes, at);
}
#endif

// Calls `step` with the byte offset of each whole vector, then `rest(offset, elements left)`.
template <typename T, class D, typename Step, typename Rest>
void ForEachVector(D d, size_t elements, Step step, Rest rest) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= elements; i += lanes) step(i * sizeof(T));
  if (i < elements) rest(i * sizeof(T), elements - i);
}

template <typename T>
void AccumulateOf(uint8_t* acc, const uint8_t* x, size_t elements) {
  const hn::ScalableTag<T> d;
  ForEachVector<T>(
      d, elements,
      [=](size_t at) HWY_ATTR { Put(d, hn::Add(Get(d, acc + at), Get(d, x + at)), acc + at); },
      [=](size_t at, size_t left) HWY_ATTR { scalar::Accumulate<T>(acc + at, x + at, left); });
}

template <typename T>
void LeftFoldOf(uint8_t* dst, const void* const* xs, size_t count, size_t elements) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  const size_t step = lanes * sizeof(T);
  const auto source = [xs](size_t k) HWY_ATTR { return static_cast<const uint8_t*>(xs[k]); };
  size_t i = 0;
  // Four vectors at a time: the loop over the arrays is short, and its additions would wait for
  // each other.
  for (; i + 4 * lanes <= elements; i += 4 * lanes) {
    const size_t at = i * sizeof(T);
    const uint8_t* x = source(0) + at;
    auto a = Get(d, x);
    auto b = Get(d, x + step);
    auto c = Get(d, x + 2 * step);
    auto e = Get(d, x + 3 * step);
    for (size_t k = 1; k < count; ++k) {
      x = source(k) + at;
      a = hn::Add(a, Get(d, x));
      b = hn::Add(b, Get(d, x + step));
      c = hn::Add(c, Get(d, x + 2 * step));
      e = hn::Add(e, Get(d, x + 3 * step));
    }
    Put(d, a, dst + at);
    Put(d, b, dst + at + step);
    Put(d, c, dst + at + 2 * step);
    Put(d, e, dst + at + 3 * step);
  }
  for (; i + lanes <= elements; i += lanes) {
    const size_t at = i * sizeof(T);
    auto a = Get(d, source(0) + at);
    for (size_t k = 1; k < count; ++k) a = hn::Add(a, Get(d, source(k) + at));
    Put(d, a, dst + at);
  }
  if (i < elements) scalar::LeftFold<T>(dst, xs, count, i, elements);
}

template <typename T>
void AddScaledOf(T scale, const uint8_t* weight, uint8_t* grad, size_t elements) {
  const hn::ScalableTag<T> d;
  const auto vscale = hn::Set(d, scale);
  ForEachVector<T>(
      d, elements,
      [=](size_t at) HWY_ATTR {
        const auto scaled = hn::Mul(vscale, Get(d, grad + at));
        Put(d, hn::Add(Get(d, weight + at), scaled), grad + at);
      },
      [=](size_t at, size_t left)
          HWY_ATTR { scalar::AddScaled<T>(scale, weight + at, grad + at, left); });
}

// SgdConstants in registers.
template <typename T>
struct SgdVectors {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;

  explicit SgdVectors(const scalar::SgdConstants<T>& c)
      : learning_rate(hn::Set(D(), c.learning_rate)),
        rescale_grad(hn::Set(D(), c.rescale_grad)),
        wd(hn::Set(D(), c.wd)),
        upper(hn::Set(D(), c.clip_gradient)),
        lower(hn::Set(D(), -c.clip_gradient)),
        momentum(hn::Set(D(), c.momentum)) {}

  // Learning rate times the g of kernels.h.
  template <bool kClip>
  V Step(V weight, V grad) const {
    V g = hn::Mul(rescale_grad, grad);
    if constexpr (kClip) {
      // Min and Max differ between instruction sets in what they make of a NaN.
      g = hn::IfThenElse(hn::Gt(g, upper), upper, hn::IfThenElse(hn::Lt(g, lower), lower, g));
    }
    g = hn::Add(g, hn::Mul(wd, weight));
    return hn::Mul(learning_rate, g);
  }

  V learning_rate, rescale_grad, wd, upper, lower, momentum;
};

template <typename T, bool kClip>
void SgdOf(const scalar::SgdConstants<T>& c, const uint8_t* weight, uint8_t* grad,
           size_t elements) {
  const hn::ScalableTag<T> d;
  const SgdVectors<T> v(c);
  ForEachVector<T>(
      d, elements,
      [&](size_t at) HWY_ATTR {
        const auto w = Get(d, weight + at);
        Put(d, hn::Sub(w, v.template Step<kClip>(w, Get(d, grad + at))), grad + at);
      },
      [&](size_t at, size_t left) HWY_ATTR { scalar::Sgd<T>(c, weight + at, grad + at, left); });
}

template <typename T, bool kClip>
void SgdMomentumOf(const scalar::SgdConstants<T>& c, const uint8_t* weight, uint8_t* mom,
                   uint8_t* grad, size_t elements) {
  const hn::ScalableTag<T> d;
  const SgdVectors<T> v(c);
  ForEachVector<T>(
      d, elements,
      [&](size_t at) HWY_ATTR {
        const auto w = Get(d, weight + at);
        const auto kept = hn::Mul(v.momentum, Get(d, mom + at));
        const auto m = hn::Sub(kept, v.template Step<kClip>(w, Get(d, grad + at)));
        Put(d, m, mom + at);
        Put(d, hn::Add(w, m), grad + at);
      },
      [&](size_t at, size_t left)
          HWY_ATTR { scalar::SgdMomentum<T>(c, weight + at, mom + at, grad + at, left); });
}

template <typename T>
void SgdOf(const SgdNumbers& numbers, const uint8_t* weight, uint8_t* mom, uint8_t* grad,
           size_t elements) {
  const scalar::SgdConstants<T> c(numbers);
  if (mom == nullptr) {
    c.clip ? SgdOf<T, true>(c, weight, grad, elements) : SgdOf<T, false>(c, weight, grad, elements);
  } else {
    c.clip ? SgdMomentumOf<T, true>(c, weight, mom, grad, elements)
           : SgdMomentumOf<T, false>(c, weight, mom, grad, elements);
  }
}

}  // namespace

// The entries of the dispatch tables, one per target: not in the unnamed namespace.

void AccumulateSimd(DType dtype, uint8_t* acc, const uint8_t* x, size_t elements) {
  dtype == DType::kFloat32 ? AccumulateOf<float>(acc, x, elements)
                           : AccumulateOf<double>(acc, x, elements);
}

void LeftFoldSimd(DType dtype, uint8_t* dst, const void* const* xs, size_t count, size_t elements) {
  dtype == DType::kFloat32 ? LeftFoldOf<float>(dst, xs, count, elements)
                           : LeftFoldOf<double>(dst, xs, count, elements);
}

void AddScaledSimd(DType dtype, double scale, const uint8_t* weight, uint8_t* grad,
                   size_t elements) {
  dtype == DType::kFloat32 ? AddScaledOf(static_cast<float>(scale), weight, grad, elements)
                           : AddScaledOf(scale, weight, grad, elements);
}

// Without momentum when `mom` is null.
void SgdSimd(DType dtype, const SgdNumbers& numbers, const uint8_t* weight, uint8_t* mom,
             uint8_t* grad, size_t elements) {
  dtype == DType::kFloat32 ? SgdOf<float>(numbers, weight, mom, grad, elements)
                           : SgdOf<double>(numbers, weight, mom, grad, elements);
}

}  // namespace HWY_NAMESPACE
}  // namespace kvstore
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvstore {
namespace {

HWY_EXPORT(AccumulateSimd);
HWY_EXPORT(LeftFoldSimd);
HWY_EXPORT(AddScaledSimd);
HWY_EXPORT(SgdSimd);

const uint8_t* Bytes(const void* p) { return static_cast<const uint8_t*>(p); }
uint8_t* Bytes(void* p) { return static_cast<uint8_t*>(p); }

}  // namespace

void Accumulate(DType dtype, void* acc, const void* x, size_t elements) {
  KVS_CHECK(KernelsSupport(dtype));
  HWY_DYNAMIC_DISPATCH(AccumulateSimd)(dtype, Bytes(acc), Bytes(x), elements);
}

void LeftFold(DType dtype, void* dst, const void* const* xs, size_t count, size_t elements) {
  KVS_CHECK(KernelsSupport(dtype) && count >= 1);
  HWY_DYNAMIC_DISPATCH(LeftFoldSimd)(dtype, Bytes(dst), xs, count, elements);
}

void AddScaled(DType dtype, double scale, const void* weight, void* grad, size_t elements) {
  KVS_CHECK(KernelsSupport(dtype));
  HWY_DYNAMIC_DISPATCH(AddScaledSimd)(dtype, scale, Bytes(weight), Bytes(grad), elements);
}

void Sgd(DType dtype, const SgdNumbers& numbers, const void* weight, void* grad, size_t elements) {
  KVS_CHECK(KernelsSupport(dtype));
  HWY_DYNAMIC_DISPATCH(SgdSimd)
  (dtype, numbers, Bytes(weight), nullptr, Bytes(grad), elements);
}

void SgdMomentum(DType dtype, const SgdNumbers& numbers, const void* weight, void* mom, void* grad,
                 size_t elements) {
  KVS_CHECK(KernelsSupport(dtype) && (mom != nullptr || elements == 0));
  HWY_DYNAMIC_DISPATCH(SgdSimd)
  (dtype, numbers, Bytes(weight), Bytes(mom), Bytes(grad), elements);
}

}  // namespace kvstore

#endif  // HWY_ONCE
