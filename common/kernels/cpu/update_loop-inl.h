// Runs a formula over arrays (number-inl.h: how it is compiled).
#include <array>
#include <cstddef>
#include <utility>

#include "common/kernels/cpu/formulas/descent-inl.h"
#include "common/kernels/cpu/formulas/moments-inl.h"
#include "common/kernels/cpu/formulas/squares-inl.h"

#if defined(KVS_UPDATE_LOOP_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_UPDATE_LOOP_INL_H
#undef KVS_UPDATE_LOOP_INL_H
#else
#define KVS_UPDATE_LOOP_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore::HWY_NAMESPACE {
namespace {

// Updates elements from `begin` on for as long as a whole Real of them is left before `end`; where
// it ended. `state`: by value, so that they stay in registers, since what is stored could be
// anything's bytes.
template <typename Real, typename Numbers, size_t... kState>
HWY_INLINE size_t UpdateReals(const Numbers& numbers, const void* weight,
                              [[maybe_unused]] std::array<void*, sizeof...(kState)> state,
                              void* grad, size_t begin, size_t end,
                              std::index_sequence<kState...>) {
  using InMemory = Memory<Real>;
  const Formula<Numbers, Real> formula(numbers);
  const size_t lanes = InMemory::Lanes();
  size_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    [[maybe_unused]] std::array<Real, sizeof...(kState)> kept = {
        InMemory::Load(state[kState], i)...};
    const Real w = InMemory::Load(weight, i);
    const Real new_w = formula(w, InMemory::Load(grad, i), kept[kState]...);
    (InMemory::Store(kept[kState], state[kState], i), ...);
    InMemory::Store(new_w, grad, i);
  }
  return i;
}

// As UpdateWeights in updates.h, for T (float or double): whole vectors first, then number by
// number.
template <typename T, typename Numbers, size_t... kState>
void UpdateElements(const Numbers& numbers, const void* weight, [[maybe_unused]] void* const* state,
                    void* grad, size_t elements, std::index_sequence<kState...> states) {
  const std::array<void*, sizeof...(kState)> arrays = {state[kState]...};
  const size_t done = UpdateReals<Vector<T>>(numbers, weight, arrays, grad, 0, elements, states);
  UpdateReals<T>(numbers, weight, arrays, grad, done, elements, states);
}

// The indices of the arrays that an update keeps.
template <typename Numbers>
using StatesOf = std::make_index_sequence<Formula<Numbers, float>::kStates>;

}  // namespace
}  // namespace kvstore::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggle
