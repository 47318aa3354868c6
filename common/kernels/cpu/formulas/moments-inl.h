// Formulas of adam's kind: moving means of the gradient and of its size.
#include "common/kernels/cpu/formulas/gradient-inl.h"

#if defined(KVS_MOMENTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_MOMENTS_INL_H
#undef KVS_MOMENTS_INL_H
#else
#define KVS_MOMENTS_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore {
namespace HWY_NAMESPACE {
namespace {

template <typename Real>
struct Formula<AdamNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const AdamNumbers& n)
      : c(n),
        beta1(Real(n.beta1)),
        beta2(Real(n.beta2)),
        new1(Real(1) - beta1),
        new2(Real(1) - beta2),
        epsilon(Real(n.epsilon)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& mean, Real& var) const {
    const Real g = c.mxnet1 ? c.DecayedThenClipped(w, s) : c.Decayed(w, s);
    mean = beta1 * mean + new1 * g;
    var = beta2 * var + (new2 * g) * g;
    return w - (c.learning_rate * mean) / (Sqrt(var) + epsilon);
  }

  Gradient<Real> c;
  Real beta1, beta2;
  Real new1, new2;  // the shares of the new gradient
  Real epsilon;
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace kvstore
HWY_AFTER_NAMESPACE();

#endif  // toggle
