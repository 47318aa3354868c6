// Formulas of adam's kind: moving means of the gradient and of its size.
#include "common/kernels/cpu/formulas/gradient-inl.h"

#if defined(KVS_MOMENTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_MOMENTS_INL_H
#undef KVS_MOMENTS_INL_H
#else
#define KVS_MOMENTS_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore::HWY_NAMESPACE {
namespace {

// What adam, adamw and adabelief have.
template <typename Real>
struct Means : Gradient<Real> {
  HWY_INLINE explicit Means(const AdamNumbers& n)
      : Gradient<Real>(n),
        beta1(Real(n.beta1)),
        beta2(Real(n.beta2)),
        new1(Real(1) - beta1),
        new2(Real(1) - beta2),
        epsilon(Real(n.epsilon)) {}

  // adam's step, of the means as they are now.
  HWY_INLINE Real Step(Real mean, Real var) const {
    return (this->learning_rate * mean) / (Sqrt(var) + epsilon);
  }

  Real beta1, beta2;
  Real new1, new2;  // the shares of the new gradient
  Real epsilon;
};

template <typename Real>
struct Formula<AdamNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const AdamNumbers& n) : c(n) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& mean, Real& var) const {
    const Real g = c.mxnet1 ? c.DecayedThenClipped(w, s) : c.Decayed(w, s);
    mean = c.beta1 * mean + c.new1 * g;
    var = c.beta2 * var + (c.new2 * g) * g;
    return w - c.Step(mean, var);
  }

  Means<Real> c;
};

template <typename Real>
struct Formula<AdamWNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const AdamWNumbers& n) : c(n) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& mean, Real& var) const {
    const Real g = c.Rescaled(s);
    mean = c.beta1 * mean + c.new1 * g;
    var = c.beta2 * var + (c.new2 * g) * g;
    return w - c.learning_rate * (mean / (Sqrt(var) + c.epsilon) + c.wd * w);
  }

  Means<Real> c;
};

template <typename Real>
struct Formula<AdaBeliefNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const AdaBeliefNumbers& n) : c(n) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& mean, Real& var) const {
    const Real g = c.DecayedThenClipped(w, s);
    mean = c.beta1 * mean + c.new1 * g;
    const Real off = g - mean;
    var = (c.beta2 * var + (c.new2 * off) * off) + c.epsilon;
    return w - c.Step(mean, var);
  }

  Means<Real> c;
};

// What adamax and nadam have, which are Python in MXNet: 1 - beta is made in f64.
template <typename Real>
struct PythonMeans : Gradient<Real> {
  HWY_INLINE explicit PythonMeans(const AdamNumbers& n)
      : Gradient<Real>(n),
        beta1(Real(n.beta1)),
        beta2(Real(n.beta2)),
        new1(Real(1 - n.beta1)),
        new2(Real(1 - n.beta2)),
        epsilon(Real(n.epsilon)) {}

  HWY_INLINE Real Of(Real w, Real s) const {
    return this->mxnet1 ? this->DecayedThenClipped(w, s) : this->Decayed(w, s);
  }

  Real beta1, beta2, new1, new2, epsilon;
};

template <typename Real>
struct Formula<AdamaxNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const AdamaxNumbers& n) : c(n) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& mean, Real& size) const {
    const Real g = c.Of(w, s);
    mean = c.beta1 * mean + c.new1 * g;
    const Real kept = c.beta2 * size;
    const Real now = Abs(g);
    size = Select(kept > now, kept, now);
    return w - (c.learning_rate * mean) / (c.mxnet1 ? size : size + c.epsilon);
  }

  PythonMeans<Real> c;
};

template <typename Real>
struct Formula<NadamNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const NadamNumbers& n)
      : c(n),
        share_now(Real(n.share_now)),
        momentum_next(Real(n.momentum_next)),
        rest_now(Real(n.rest_now)),
        rest_next(Real(n.rest_next)),
        rest_var(Real(n.rest_var)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& mean, Real& var) const {
    const Real g = c.Of(w, s);
    mean = c.beta1 * mean + c.new1 * g;
    var = c.beta2 * var + (c.new2 * g) * g;
    const Real ahead = share_now * (g / rest_now) + momentum_next * (mean / rest_next);
    return w - (c.learning_rate * ahead) / (Sqrt(var / rest_var) + c.epsilon);
  }

  PythonMeans<Real> c;
  Real share_now, momentum_next, rest_now, rest_next, rest_var;
};

template <typename Real>
struct Formula<FtmlNumbers, Real> {
  static constexpr size_t kStates = 3;
  HWY_INLINE explicit Formula(const FtmlNumbers& n)
      : c(n),
        rate((Real(1) - Real(n.power1)) / c.learning_rate),
        rest_var(Real(1) - Real(n.power2)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& d, Real& v, Real& z) const {
    const Real g = c.mxnet1 ? c.DecayedThenClipped(w, s) : c.Decayed(w, s);
    v = c.beta2 * v + c.new2 * (g * g);
    const Real new_d = rate * (Sqrt(v / rest_var) + c.epsilon);
    z = (c.beta1 * z + c.new1 * g) - (new_d - c.beta1 * d) * w;
    d = new_d;
    return -z / d;
  }

  Means<Real> c;
  Real rate, rest_var;
};

// What lamb and lans have: moving means of `g`, without the bias of their beginning.
template <typename Real>
struct UnbiasedMeans : Means<Real> {
  HWY_INLINE UnbiasedMeans(const AdamNumbers& n, double power1, double power2)
      : Means<Real>(n), rest1(Real(1) - Real(power1)), rest2(Real(1) - Real(power2)) {}

  HWY_INLINE Real NewMean(Real g, Real mean) const { return this->beta1 * mean + this->new1 * g; }
  HWY_INLINE Real NewVar(Real g, Real var) const {
    return this->beta2 * var + (this->new2 * g) * g;
  }
  HWY_INLINE Real Root(Real new_var) const { return Sqrt(new_var / rest2) + this->epsilon; }

  Real rest1, rest2;
};

template <typename Real>
struct LambMeans : UnbiasedMeans<Real> {
  HWY_INLINE explicit LambMeans(const LambNumbers& n)
      : UnbiasedMeans<Real>(n, n.power1, n.power2) {}

  HWY_INLINE Real Direction(Real w, Real new_mean, Real new_var) const {
    return (new_mean / this->rest1) / this->Root(new_var) + this->wd * w;
  }
};

template <typename Real>
struct Formula<LambNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const LambNumbers& n) : c(n), rate(Real(n.rate)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& mean, Real& var) const {
    const Real g = c.Rescaled(s);
    mean = c.NewMean(g, mean);
    var = c.NewVar(g, var);
    return w - rate * c.Direction(w, mean, var);
  }

  LambMeans<Real> c;
  Real rate;
};

template <typename Real>
struct Formula<LambStepNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const LambStepNumbers& n) : c(n) {}
  HWY_INLINE Real operator()(Real w, Real s, const Real& mean, const Real& var) const {
    const Real g = c.Rescaled(s);
    return c.Direction(w, c.NewMean(g, mean), c.NewVar(g, var));
  }

  LambMeans<Real> c;
};

template <typename Real>
struct LansMeans : UnbiasedMeans<Real> {
  HWY_INLINE explicit LansMeans(const LansNumbers& n)
      : UnbiasedMeans<Real>(n, n.power1, n.power2), norm(Real(n.norm)) {}

  HWY_INLINE Real Normalized(Real s) const {
    const Real g = (this->rescale_grad * s) / norm;
    return this->clip ? ClippedTo(this->bound, g) : g;
  }
  HWY_INLINE Real MeanStep(Real w, Real new_mean, Real new_var) const {
    return (new_mean / this->rest1) / this->Root(new_var) + this->wd * w;
  }
  HWY_INLINE Real GradStep(Real w, Real g, Real new_var) const {
    return g / this->Root(new_var) + this->wd * w;
  }

  Real norm;
};

template <typename Real>
struct Formula<LansNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const LansNumbers& n)
      : c(n), mean_rate(Real(n.mean_rate)), grad_rate(Real(n.grad_rate)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& mean, Real& var) const {
    const Real g = c.Normalized(s);
    mean = c.NewMean(g, mean);
    var = c.NewVar(g, var);
    return w - (mean_rate * c.MeanStep(w, mean, var) + grad_rate * c.GradStep(w, g, var));
  }

  LansMeans<Real> c;
  Real mean_rate, grad_rate;
};

template <typename Real>
struct Formula<LansMeanStepNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const LansMeanStepNumbers& n) : c(n) {}
  HWY_INLINE Real operator()(Real w, Real s, const Real& mean, const Real& var) const {
    const Real g = c.Normalized(s);
    return c.MeanStep(w, c.NewMean(g, mean), c.NewVar(g, var));
  }

  LansMeans<Real> c;
};

template <typename Real>
struct Formula<LansGradStepNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const LansGradStepNumbers& n) : c(n) {}
  HWY_INLINE Real operator()(Real w, Real s, const Real& /*mean*/, const Real& var) const {
    const Real g = c.Normalized(s);
    return c.GradStep(w, g, c.NewVar(g, var));
  }

  LansMeans<Real> c;
};

}  // namespace
}  // namespace kvstore::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggle
