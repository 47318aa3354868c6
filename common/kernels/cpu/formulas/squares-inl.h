// Formulas that remember the squares of the gradients and shorten their steps by them.
#include "common/kernels/cpu/formulas/gradient-inl.h"

#if defined(KVS_SQUARES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_SQUARES_INL_H
#undef KVS_SQUARES_INL_H
#else
#define KVS_SQUARES_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore::HWY_NAMESPACE {
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
struct Formula<GroupAdagradNumbers, Real> {
  static constexpr size_t kStates = 0;
  HWY_INLINE explicit Formula(const GroupAdagradNumbers& n)
      : c(n),
        root(n.mxnet1 ? Sqrt(Real(n.history) + Real(n.epsilon))
                      : Sqrt(Real(n.history)) + Real(n.epsilon)) {}
  HWY_INLINE Real operator()(Real w, Real s) const {
    const Real g = c.Rescaled(s);
    return w - (c.mxnet1 ? (c.learning_rate * g) / root : c.learning_rate * (g / root));
  }

  Gradient<Real> c;
  Real root;
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

template <typename Real>
struct Formula<AdadeltaNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const AdadeltaNumbers& n)
      : c(n), rho(Real(n.rho)), share(Real(1 - n.rho)), epsilon(Real(n.epsilon)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& squares, Real& steps) const {
    const Real g = c.mxnet1 ? c.Rescaled(s) : c.Decayed(w, s);
    squares = rho * squares + (share * g) * g;
    const Real step = (Sqrt(steps + epsilon) / Sqrt(squares + epsilon)) * g;
    steps = rho * steps + (share * step) * step;
    return c.mxnet1 ? w - (step + c.wd * w) : w - c.learning_rate * step;
  }

  Gradient<Real> c;
  Real rho, share, epsilon;
};

// What rmsprop has with and without centering.
template <typename Real>
struct MeanSquare : Gradient<Real> {
  HWY_INLINE explicit MeanSquare(const RmspropNumbers& n)
      : Gradient<Real>(n),
        rho(Real(n.rho)),
        share(Real(1) - rho),
        epsilon(Real(n.epsilon)),
        weight_bound(Real(n.clip_weights)),
        bounded(n.bounded) {}

  HWY_INLINE Real Of(Real w, Real s) const {
    return this->mxnet1 ? this->DecayedThenClipped(w, s) : this->Decayed(w, s);
  }
  HWY_INLINE Real Bounded(Real w) const { return bounded ? ClippedTo(weight_bound, w) : w; }

  Real rho, share, epsilon, weight_bound;
  bool bounded;
};

template <typename Real>
struct Formula<RmspropNumbers, Real> {
  static constexpr size_t kStates = 1;
  HWY_INLINE explicit Formula(const RmspropNumbers& n) : c(n) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& var) const {
    const Real g = c.Of(w, s);
    var = c.rho * var + c.share * (g * g);
    const Real step = g / (c.mxnet1 ? Sqrt(var + c.epsilon) : Sqrt(var) + c.epsilon);
    return c.Bounded(w - c.learning_rate * step);
  }

  MeanSquare<Real> c;
};

template <typename Real>
struct Formula<CenteredRmspropNumbers, Real> {
  static constexpr size_t kStates = 3;
  HWY_INLINE explicit Formula(const CenteredRmspropNumbers& n) : c(n), momentum(Real(n.momentum)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& mean, Real& var, Real& m) const {
    const Real g = c.Of(w, s);
    mean = c.rho * mean + c.share * g;
    var = c.rho * var + (c.mxnet1 ? (c.share * g) * g : c.share * (g * g));
    m = momentum * m - (c.learning_rate * g) / Sqrt((var - mean * mean) + c.epsilon);
    return c.Bounded(w + m);
  }

  MeanSquare<Real> c;
  Real momentum;
};

}  // namespace
}  // namespace kvstore::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggle
