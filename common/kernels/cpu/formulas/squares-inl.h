// Formulas that remember the squares of the gradients and shorten their steps by them.
#include "common/kernels/cpu/formulas/gradient-inl.h"

#if defined(KVS_SQUARES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_SQUARES_INL_H
#undef KVS_SQUARES_INL_H
#else
#define KVS_SQUARES_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore {
namespace HWY_NAMESPACE {
namespace {

template <typename Real>
struct Formula<AdagradNumbers, Real> {
  static constexpr size_t kStates = 1;
  HWY_INLINE explicit Formula(const AdagradNumbers& n) : c(n), epsilon(Real(n.epsilon)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& h) const {
    const Real g = c.mxnet1 ? c.Rescaled(s) : c.Decayed(w, s);
    h = h + g * g;
    const Real step = c.mxnet1 ? g / Sqrt(h + epsilon) + c.wd * w : g / (Sqrt(h) + epsilon);
    return w - c.learning_rate * step;
  }

  Gradient<Real> c;
  Real epsilon;
};

template <typename Real>
struct Formula<FtrlNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const FtrlNumbers& n)
      : c(n), lamda1(Real(n.lamda1)), beta(Real(n.beta)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& z, Real& n) const {
    const Real g = c.Rescaled(s);
    const Real old_root = Sqrt(n);
    n = n + g * g;
    const Real root = Sqrt(n);
    z = z + (g - ((root - old_root) * w) / c.learning_rate);
    const Real over = WithSignOf(z, lamda1) - z;
    const Real rate = (beta + root) / c.learning_rate + c.wd;
    return Select(Abs(z) <= lamda1, Real(0), over / rate);
  }

  Gradient<Real> c;
  Real lamda1, beta;
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace kvstore
HWY_AFTER_NAMESPACE();

#endif  // toggle
