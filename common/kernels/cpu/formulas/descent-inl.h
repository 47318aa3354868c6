// Formulas that go down the gradient: a step is as long as the gradient, or the learning rate.
#include "common/kernels/cpu/formulas/gradient-inl.h"

#if defined(KVS_DESCENT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_DESCENT_INL_H
#undef KVS_DESCENT_INL_H
#else
#define KVS_DESCENT_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore::HWY_NAMESPACE {
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

template <typename Real>
struct Formula<SgldNumbers, Real> {
  static constexpr size_t kStates = 1;
  HWY_INLINE explicit Formula(const SgldNumbers& n) : c(n), half(Real(n.learning_rate / 2)) {}
  HWY_INLINE Real operator()(Real w, Real s, const Real& noise) const {
    return (w - half * c.Decayed(w, s)) + noise;
  }

  Gradient<Real> c;
  Real half;  // the learning rate's
};

template <typename Real>
struct Formula<PlainNagNumbers, Real> {
  static constexpr size_t kStates = 0;
  HWY_INLINE explicit Formula(const PlainNagNumbers& n) : c(n), kept(Real(1) - c.decay) {}
  HWY_INLINE Real operator()(Real w, Real s) const {
    const Real step = c.Step(w, s);
    return c.mxnet1 ? kept * w - step : w - step;
  }

  SgdStep<Real> c;
  Real kept;  // mxnet1
};

template <typename Real>
struct Formula<NagNumbers, Real> {
  static constexpr size_t kStates = 1;
  HWY_INLINE explicit Formula(const NagNumbers& n)
      : c(n), momentum(Real(n.momentum)), one_more(momentum + Real(1)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& m) const {
    const Real kept = momentum * m;
    const Real step = c.learning_rate * c.Decayed(w, s);
    m = kept - step;
    if (!c.mxnet1) return w + (momentum * m - step);
    const Real new_w = (w - kept) + one_more * m;
    // The momentum that is kept has the decay of the new weight: MXNet writes the weight first.
    m = kept - c.learning_rate * c.Decayed(new_w, s);
    return new_w;
  }

  Gradient<Real> c;
  Real momentum;
  Real one_more;  // mxnet1
};

// 1, -1 or, of a zero or a NaN, 0.
template <typename Real>
HWY_INLINE Real SignOf(Real x) {
  return Select(x > Real(0), Real(1), Select(x < Real(0), Real(-1), Real(0)));
}

template <typename Real>
struct Formula<SignNumbers, Real> {
  static constexpr size_t kStates = 0;
  HWY_INLINE explicit Formula(const SignNumbers& n)
      : c(n), kept(Real(1) - c.learning_rate * Real(n.mxnet1 ? n.wd : n.wd + n.wd_lh)) {}
  HWY_INLINE Real operator()(Real w, Real s) const {
    return kept * w - c.learning_rate * SignOf(s);
  }

  Gradient<Real> c;
  Real kept;
};

template <typename Real>
struct Formula<SignumNumbers, Real> {
  static constexpr size_t kStates = 1;
  HWY_INLINE explicit Formula(const SignumNumbers& n)
      : c(n),
        momentum(Real(n.momentum)),
        share(Real(1) - momentum),
        decay(share * c.wd),
        rate(share * c.rescale_grad),
        kept(Real(1) - c.learning_rate * Real(n.wd_lh)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& m) const {
    if (c.mxnet1) {
      m = (momentum * m - decay * w) - (c.clip ? share * c.Rescaled(s) : rate * s);
    } else {
      m = momentum * m - share * c.Decayed(w, s);
    }
    return kept * w + c.learning_rate * SignOf(m);
  }

  Gradient<Real> c;
  Real momentum, share;
  Real decay, rate;  // mxnet1; rate: without clipping
  Real kept;
};

// The gradient that dcasgd descends: the one that came, corrected for the weight's last step
// (`moved`), before which it was made. MXNet keeps the weight before that step and subtracts it
// from the weight in the next update; here the same subtraction is made at once, and its result
// kept. So the state begins with zero, in a row that comes late too, where MXNet's begins with the
// weight.
template <typename Real>
struct DelayCompensation : Gradient<Real> {
  HWY_INLINE DelayCompensation(const UpdateNumbers& n, double l)
      : Gradient<Real>(n), lamda(Real(l)) {}
  HWY_INLINE Real Compensated(Real w, Real s, Real moved) const {
    const Real decayed = this->Decayed(w, s);
    const Real g = this->mxnet1 ? this->Rescaled(s) : decayed;
    return decayed + ((lamda * g) * g) * moved;
  }

  Real lamda;
};

template <typename Real>
struct Formula<DcasgdNumbers, Real> {
  static constexpr size_t kStates = 1;
  HWY_INLINE explicit Formula(const DcasgdNumbers& n) : c(n, n.lamda) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& moved) const {
    const Real new_w = w - c.learning_rate * c.Compensated(w, s, moved);
    moved = new_w - w;
    return new_w;
  }

  DelayCompensation<Real> c;
};

template <typename Real>
struct Formula<DcasgdMomentumNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const DcasgdMomentumNumbers& n)
      : c(n, n.lamda), momentum(Real(n.momentum)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& m, Real& moved) const {
    m = momentum * m - c.learning_rate * c.Compensated(w, s, moved);
    const Real new_w = w + m;
    moved = new_w - w;
    return new_w;
  }

  DelayCompensation<Real> c;
  Real momentum;
};

// Of one worker: the step that its gradient is corrected for is all that was made since its own
// last one, after which the weight was `previous`.
template <typename Real>
struct Formula<WorkerDcasgdNumbers, Real> {
  static constexpr size_t kStates = 1;
  HWY_INLINE explicit Formula(const WorkerDcasgdNumbers& n) : c(n, n.lamda) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& previous) const {
    const Real new_w = w - c.learning_rate * c.Compensated(w, s, w - previous);
    previous = new_w;
    return new_w;
  }

  DelayCompensation<Real> c;
};

template <typename Real>
struct Formula<WorkerDcasgdMomentumNumbers, Real> {
  static constexpr size_t kStates = 2;
  HWY_INLINE explicit Formula(const WorkerDcasgdMomentumNumbers& n)
      : c(n, n.lamda), momentum(Real(n.momentum)) {}
  HWY_INLINE Real operator()(Real w, Real s, Real& m, Real& previous) const {
    m = momentum * m - c.learning_rate * c.Compensated(w, s, w - previous);
    const Real new_w = w + m;
    previous = new_w;
    return new_w;
  }

  DelayCompensation<Real> c;
  Real momentum;
};

}  // namespace
}  // namespace kvstore::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggle
