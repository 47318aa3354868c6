// Formulas that go down the gradient: a step is as long as the gradient, or the learning rate.
#include "common/kernels/cpu/formulas/gradient-inl.h"

#if defined(KVS_DESCENT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_DESCENT_INL_H
#undef KVS_DESCENT_INL_H
#else
#define KVS_DESCENT_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore {
namespace HWY_NAMESPACE {
namespace {

template <typename Real>
struct Formula<AddScaledNumbers, Real> {
  static constexpr size_t kStates = 0;
  HWY_INLINE explicit Formula(const AddScaledNumbers& n) : scale(Real(n.scale)) {}
  HWY_INLINE Real operator()(Real w, Real s) const { return w + scale * s; }

  Real scale;
};

// What sgd has with and without momentum.
template <typename Real>
struct SgdStep : Gradient<Real> {
  HWY_INLINE explicit SgdStep(const UpdateNumbers& n)
      : Gradient<Real>(n),
        decay(this->learning_rate * this->wd),
        rate(this->learning_rate * this->rescale_grad) {}

  // What the learning rate makes of the gradient; mxnet1: without the weight decay.
  HWY_INLINE Real Step(Real w, Real s) const {
    if (!this->mxnet1) return this->learning_rate * this->Decayed(w, s);
    return this->clip ? this->learning_rate * this->Rescaled(s) : rate * s;
  }

  Real decay, rate;  // mxnet1; rate: without clipping
};

template <typename Real>
struct Formula<SgdNumbers, Real> {
  static constexpr size_t kStates = 0;
  HWY_INLINE explicit Formula(const SgdNumbers& n) : c(n) {}
  HWY_INLINE Real operator()(Real w, Real s) const {
    const Real step = c.Step(w, s);
    return c.mxnet1 ? w - (c.decay * w + step) : w - step;
  }

  SgdStep<Real> c;
};

template <typename Real>
struct Formula<MomentumNumbers, Real> {
  static constexpr size_t kStates = 1;
  HWY_INLINE explicit Formula(const MomentumNumbers& n) : c(n), momentum(Real(n.momentum)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& m) const {
    Real kept = momentum * m;
    if (c.mxnet1) kept = kept - c.decay * w;
    m = kept - c.Step(w, s);
    return w + m;
  }

  SgdStep<Real> c;
  Real momentum;
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace kvstore
HWY_AFTER_NAMESPACE();

#endif  // toggle
