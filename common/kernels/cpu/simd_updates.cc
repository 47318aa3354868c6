// The updates of kernels.h in SIMD, compiled once per instruction set and chosen at run time by
// Highway. Whole vectors go here, the elements that remain go to the scalar reference. Only
// correctly rounded operations are used (add, subtract, multiply, divide, square root, compare,
// select) and no MulAdd, so each lane has the scalar's bits.
#include "common/base/check.h"
#include "common/kernels/cpu/scalar_updates.h"
#include "common/kernels/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/kernels/cpu/simd_updates.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "common/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kvstore {
namespace HWY_NAMESPACE {
namespace {

template <typename T>
using Vec = hn::Vec<hn::ScalableTag<T>>;

template <typename T>
Vec<T> Load(const void* array, size_t i) {
  return Get(hn::ScalableTag<T>(), static_cast<const uint8_t*>(array) + i * sizeof(T));
}

template <typename T>
void Store(Vec<T> v, void* array, size_t i) {
  Put(hn::ScalableTag<T>(), v, static_cast<uint8_t*>(array) + i * sizeof(T));
}

const void* At(const void* array, size_t bytes) {
  return static_cast<const uint8_t*>(array) + bytes;
}
void* At(void* array, size_t bytes) { return static_cast<uint8_t*>(array) + bytes; }

// Calls `step` with the index of the first element of each whole vector, then the update's scalar
// `reference` with the elements that remain of the `arrays`.
template <typename T, typename Constants, typename Reference, typename Step, typename... Arrays>
void ForEachElement(size_t elements, const Constants& c, Reference reference, Step step,
                    Arrays*... arrays) {
  ForEachVector(hn::ScalableTag<T>(), elements, step, [&](size_t i, size_t left) HWY_ATTR {
    reference(c, At(arrays, i * sizeof(T))..., left);
  });
}

// UpdateConstants in registers.
template <typename T>
struct UpdateVectors {
  using D = hn::ScalableTag<T>;
  using V = Vec<T>;

  explicit UpdateVectors(const scalar::UpdateConstants<T>& c)
      : learning_rate(hn::Set(D(), c.learning_rate)),
        rescale_grad(hn::Set(D(), c.rescale_grad)),
        wd(hn::Set(D(), c.wd)),
        upper(hn::Set(D(), c.clip_gradient)),
        lower(hn::Set(D(), -c.clip_gradient)),
        clip(c.clip),
        mxnet1(c.mxnet1) {}

  V Clipped(V g) const {
    if (!clip) return g;
    // Min and Max differ between instruction sets in what they make of a NaN.
    return hn::IfThenElse(hn::Gt(g, upper), upper, hn::IfThenElse(hn::Lt(g, lower), lower, g));
  }
  // The G of kernels.h.
  V Rescaled(V grad) const { return Clipped(hn::Mul(rescale_grad, grad)); }
  // The g of kernels.h.
  V Decayed(V weight, V grad) const { return hn::Add(Rescaled(grad), hn::Mul(wd, weight)); }

  V learning_rate, rescale_grad, wd, upper, lower;
  bool clip, mxnet1;  // the compiler takes the branches on them out of the loops
};

template <typename T>
void AddScaledOf(T scale, const void* weight, void* grad, size_t elements) {
  const hn::ScalableTag<T> d;
  const auto vscale = hn::Set(d, scale);
  ForEachElement<T>(
      elements, scale, scalar::AddScaled<T>,
      [&](size_t i) HWY_ATTR {
        const auto scaled = hn::Mul(vscale, Load<T>(grad, i));
        Store<T>(hn::Add(Load<T>(weight, i), scaled), grad, i);
      },
      weight, grad);
}

// What the learning rate makes of the gradient; mxnet1: without weight decay.
template <typename T>
Vec<T> SgdStep(const UpdateVectors<T>& v, Vec<T> rate, Vec<T> weight, Vec<T> grad) {
  if (!v.mxnet1) return hn::Mul(v.learning_rate, v.Decayed(weight, grad));
  return v.clip ? hn::Mul(v.learning_rate, v.Rescaled(grad)) : hn::Mul(rate, grad);
}

template <typename T>
void SgdOf(const SgdNumbers& numbers, const void* weight, void* grad, size_t elements) {
  const hn::ScalableTag<T> d;
  const scalar::SgdConstants<T> c(numbers);
  const UpdateVectors<T> v(c);
  const auto decay = hn::Set(d, c.decay);
  const auto rate = hn::Set(d, c.rate);
  ForEachElement<T>(
      elements, c, scalar::Sgd<T>,
      [&](size_t i) HWY_ATTR {
        const auto w = Load<T>(weight, i);
        auto step = SgdStep<T>(v, rate, w, Load<T>(grad, i));
        if (v.mxnet1) step = hn::Add(hn::Mul(decay, w), step);
        Store<T>(hn::Sub(w, step), grad, i);
      },
      weight, grad);
}

template <typename T>
void SgdMomentumOf(const SgdNumbers& numbers, const void* weight, void* mom, void* grad,
                   size_t elements) {
  const hn::ScalableTag<T> d;
  const scalar::SgdConstants<T> c(numbers);
  const UpdateVectors<T> v(c);
  const auto momentum = hn::Set(d, c.momentum);
  const auto decay = hn::Set(d, c.decay);
  const auto rate = hn::Set(d, c.rate);
  ForEachElement<T>(
      elements, c, scalar::SgdMomentum<T>,
      [&](size_t i) HWY_ATTR {
        const auto w = Load<T>(weight, i);
        auto kept = hn::Mul(momentum, Load<T>(mom, i));
        if (v.mxnet1) kept = hn::Sub(kept, hn::Mul(decay, w));
        const auto m = hn::Sub(kept, SgdStep<T>(v, rate, w, Load<T>(grad, i)));
        Store<T>(m, mom, i);
        Store<T>(hn::Add(w, m), grad, i);
      },
      weight, mom, grad);
}

template <typename T>
void AdagradOf(const AdagradNumbers& numbers, const void* weight, void* history, void* grad,
               size_t elements) {
  const hn::ScalableTag<T> d;
  const scalar::AdagradConstants<T> c(numbers);
  const UpdateVectors<T> v(c);
  const auto epsilon = hn::Set(d, c.epsilon);
  ForEachElement<T>(
      elements, c, scalar::Adagrad<T>,
      [&](size_t i) HWY_ATTR {
        const auto w = Load<T>(weight, i);
        const auto s = Load<T>(grad, i);
        const auto g = v.mxnet1 ? v.Rescaled(s) : v.Decayed(w, s);
        const auto h = hn::Add(Load<T>(history, i), hn::Mul(g, g));
        const auto step = v.mxnet1
                              ? hn::Add(hn::Div(g, hn::Sqrt(hn::Add(h, epsilon))), hn::Mul(v.wd, w))
                              : hn::Div(g, hn::Add(hn::Sqrt(h), epsilon));
        Store<T>(h, history, i);
        Store<T>(hn::Sub(w, hn::Mul(v.learning_rate, step)), grad, i);
      },
      weight, history, grad);
}

template <typename T>
void AdamOf(const AdamNumbers& numbers, const void* weight, void* mean, void* var, void* grad,
            size_t elements) {
  const hn::ScalableTag<T> d;
  const scalar::AdamConstants<T> c(numbers);
  const UpdateVectors<T> v(c);
  const auto beta1 = hn::Set(d, c.beta1);
  const auto beta2 = hn::Set(d, c.beta2);
  const auto new1 = hn::Set(d, c.new1);
  const auto new2 = hn::Set(d, c.new2);
  const auto epsilon = hn::Set(d, c.epsilon);
  ForEachElement<T>(
      elements, c, scalar::Adam<T>,
      [&](size_t i) HWY_ATTR {
        const auto w = Load<T>(weight, i);
        const auto s = Load<T>(grad, i);
        const auto g = v.mxnet1 ? v.Clipped(hn::Add(hn::Mul(v.rescale_grad, s), hn::Mul(v.wd, w)))
                                : v.Decayed(w, s);
        const auto m = hn::Add(hn::Mul(beta1, Load<T>(mean, i)), hn::Mul(new1, g));
        const auto x = hn::Add(hn::Mul(beta2, Load<T>(var, i)), hn::Mul(hn::Mul(new2, g), g));
        const auto step = hn::Div(hn::Mul(v.learning_rate, m), hn::Add(hn::Sqrt(x), epsilon));
        Store<T>(m, mean, i);
        Store<T>(x, var, i);
        Store<T>(hn::Sub(w, step), grad, i);
      },
      weight, mean, var, grad);
}

template <typename T>
void FtrlOf(const FtrlNumbers& numbers, const void* weight, void* z, void* n, void* grad,
            size_t elements) {
  const hn::ScalableTag<T> d;
  const scalar::FtrlConstants<T> c(numbers);
  const UpdateVectors<T> v(c);
  const auto lamda1 = hn::Set(d, c.lamda1);
  const auto beta = hn::Set(d, c.beta);
  ForEachElement<T>(
      elements, c, scalar::Ftrl<T>,
      [&](size_t i) HWY_ATTR {
        const auto w = Load<T>(weight, i);
        const auto g = v.Rescaled(Load<T>(grad, i));
        const auto old_n = Load<T>(n, i);
        const auto new_n = hn::Add(old_n, hn::Mul(g, g));
        const auto root = hn::Sqrt(new_n);
        const auto pulled = hn::Div(hn::Mul(hn::Sub(root, hn::Sqrt(old_n)), w), v.learning_rate);
        const auto new_z = hn::Add(Load<T>(z, i), hn::Sub(g, pulled));
        const auto new_w = hn::Div(hn::Sub(hn::CopySign(lamda1, new_z), new_z),
                                   hn::Add(hn::Div(hn::Add(beta, root), v.learning_rate), v.wd));
        const auto small = hn::Le(hn::Abs(new_z), lamda1);
        Store<T>(new_z, z, i);
        Store<T>(new_n, n, i);
        Store<T>(hn::IfThenZeroElse(small, new_w), grad, i);
      },
      weight, z, n, grad);
}

}  // namespace

// The entries of the dispatch tables, one per target: not in the unnamed namespace.

void AddScaledSimd(DType dtype, double scale, const void* weight, void* grad, size_t elements) {
  dtype == DType::kFloat32 ? AddScaledOf(static_cast<float>(scale), weight, grad, elements)
                           : AddScaledOf(scale, weight, grad, elements);
}

void SgdSimd(DType dtype, const SgdNumbers& numbers, const void* weight, void* grad,
             size_t elements) {
  dtype == DType::kFloat32 ? SgdOf<float>(numbers, weight, grad, elements)
                           : SgdOf<double>(numbers, weight, grad, elements);
}

void SgdMomentumSimd(DType dtype, const SgdNumbers& numbers, const void* weight, void* mom,
                     void* grad, size_t elements) {
  dtype == DType::kFloat32 ? SgdMomentumOf<float>(numbers, weight, mom, grad, elements)
                           : SgdMomentumOf<double>(numbers, weight, mom, grad, elements);
}

void AdagradSimd(DType dtype, const AdagradNumbers& numbers, const void* weight, void* history,
                 void* grad, size_t elements) {
  dtype == DType::kFloat32 ? AdagradOf<float>(numbers, weight, history, grad, elements)
                           : AdagradOf<double>(numbers, weight, history, grad, elements);
}

void AdamSimd(DType dtype, const AdamNumbers& numbers, const void* weight, void* mean, void* var,
              void* grad, size_t elements) {
  dtype == DType::kFloat32 ? AdamOf<float>(numbers, weight, mean, var, grad, elements)
                           : AdamOf<double>(numbers, weight, mean, var, grad, elements);
}

void FtrlSimd(DType dtype, const FtrlNumbers& numbers, const void* weight, void* z, void* n,
              void* grad, size_t elements) {
  dtype == DType::kFloat32 ? FtrlOf<float>(numbers, weight, z, n, grad, elements)
                           : FtrlOf<double>(numbers, weight, z, n, grad, elements);
}

}  // namespace HWY_NAMESPACE
}  // namespace kvstore
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvstore {
namespace {

HWY_EXPORT(AddScaledSimd);
HWY_EXPORT(SgdSimd);
HWY_EXPORT(SgdMomentumSimd);
HWY_EXPORT(AdagradSimd);
HWY_EXPORT(AdamSimd);
HWY_EXPORT(FtrlSimd);

}  // namespace

void AddScaled(DType dtype, double scale, const void* weight, void* grad, size_t elements) {
  KVS_CHECK(UpdatesCompute(dtype));
  HWY_DYNAMIC_DISPATCH(AddScaledSimd)(dtype, scale, weight, grad, elements);
}

void Sgd(DType dtype, const SgdNumbers& numbers, const void* weight, void* grad, size_t elements) {
  KVS_CHECK(UpdatesCompute(dtype));
  HWY_DYNAMIC_DISPATCH(SgdSimd)(dtype, numbers, weight, grad, elements);
}

void SgdMomentum(DType dtype, const SgdNumbers& numbers, const void* weight, void* mom, void* grad,
                 size_t elements) {
  KVS_CHECK(UpdatesCompute(dtype));
  HWY_DYNAMIC_DISPATCH(SgdMomentumSimd)(dtype, numbers, weight, mom, grad, elements);
}

void Adagrad(DType dtype, const AdagradNumbers& numbers, const void* weight, void* history,
             void* grad, size_t elements) {
  KVS_CHECK(UpdatesCompute(dtype));
  HWY_DYNAMIC_DISPATCH(AdagradSimd)(dtype, numbers, weight, history, grad, elements);
}

void Adam(DType dtype, const AdamNumbers& numbers, const void* weight, void* mean, void* var,
          void* grad, size_t elements) {
  KVS_CHECK(UpdatesCompute(dtype));
  HWY_DYNAMIC_DISPATCH(AdamSimd)(dtype, numbers, weight, mean, var, grad, elements);
}

void Ftrl(DType dtype, const FtrlNumbers& numbers, const void* weight, void* z, void* n, void* grad,
          size_t elements) {
  KVS_CHECK(UpdatesCompute(dtype));
  HWY_DYNAMIC_DISPATCH(FtrlSimd)(dtype, numbers, weight, z, n, grad, elements);
}

}  // namespace kvstore

#endif  // HWY_ONCE
