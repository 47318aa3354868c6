// What a formula is, and what most of them begin with (number-inl.h: how it is compiled).
#include "common/kernels/cpu/number-inl.h"
#include "common/kernels/updates.h"

#if defined(KVS_GRADIENT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_GRADIENT_INL_H
#undef KVS_GRADIENT_INL_H
#else
#define KVS_GRADIENT_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore::HWY_NAMESPACE {
namespace {

// The update that `Numbers` choose, for one Real: a number, or a vector of them. Each
// specialization has
//   kStates                     how many arrays it keeps
//   Formula(const Numbers&)     rounds the numbers
//   Real operator()(Real w, Real s, Real&... state) const
//                               the new weight out of the old one (w) and the gradient as it came,
//                               which is a round's sum (s); `state` is read and written
template <typename Numbers, typename Real>
struct Formula;

// `number` where |g| <= bound, else the bound with its sign. A NaN stays one.
template <typename Real>
HWY_INLINE Real ClippedTo(Real bound, Real g) {
  return Select(g > bound, bound, Select(g < -bound, -bound, g));
}

// The UpdateNumbers, rounded, and what they make of a gradient.
template <typename Real>
struct Gradient {
  HWY_INLINE explicit Gradient(const UpdateNumbers& n)
      : learning_rate(Real(n.learning_rate)),
        rescale_grad(Real(n.rescale_grad)),
        wd(Real(n.wd)),
        bound(Real(n.clip_gradient)),
        clip(n.clip),
        mxnet1(n.mxnet1) {}

  // The G of docs/optimizers.md.
  HWY_INLINE Real Rescaled(Real s) const {
    const Real g = rescale_grad * s;
    return clip ? ClippedTo(bound, g) : g;
  }
  // The g of docs/optimizers.md.
  HWY_INLINE Real Decayed(Real w, Real s) const { return Rescaled(s) + wd * w; }
  // Of MXNet 1.9.1: what is clipped has the decay in it.
  HWY_INLINE Real DecayedThenClipped(Real w, Real s) const {
    const Real g = rescale_grad * s + wd * w;
    return clip ? ClippedTo(bound, g) : g;
  }

  Real learning_rate, rescale_grad, wd, bound;
  bool clip, mxnet1;  // the compiler takes the branches on them out of the loops
};

}  // namespace
}  // namespace kvstore::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggle
