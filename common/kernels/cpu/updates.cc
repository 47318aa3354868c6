// The updates of updates.h, compiled once per instruction set and chosen at run time by Highway:
// whole vectors first, the elements that remain one by one, by the same formula.
#include "common/kernels/updates.h"

#include "common/base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/kernels/cpu/updates.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "common/kernels/cpu/update_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kvstore::HWY_NAMESPACE {

// The entry of the dispatch table: not in the unnamed namespace.
void UpdateWeightsSimd(DType dtype, const AnyNumbers& any, const void* weight, void* const* state,
                       void* grad, size_t elements) {
  std::visit(
      [&](const auto& numbers) HWY_ATTR {
        const StatesOf<std::decay_t<decltype(numbers)>> states;
        dtype == DType::kFloat32
            ? UpdateElements<float>(numbers, weight, state, grad, elements, states)
            : UpdateElements<double>(numbers, weight, state, grad, elements, states);
      },
      any);
}

}  // namespace kvstore::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvstore {
namespace {

HWY_EXPORT(UpdateWeightsSimd);

}  // namespace

void UpdateWeights(DType dtype, const AnyNumbers& numbers, const void* weight, void* const* state,
                   void* grad, size_t elements) {
  KVS_CHECK(UpdatesCompute(dtype));
  HWY_DYNAMIC_DISPATCH(UpdateWeightsSimd)(dtype, numbers, weight, state, grad, elements);
}

namespace {

template <typename T>
void AddMeanSquareOf(const UpdateNumbers& numbers, const void* grad, size_t elements,
                     void* history) {
  const HWY_NAMESPACE::Gradient<T> c(numbers);
  T sum = 0;
  for (size_t i = 0; i < elements; ++i) {
    const T g = c.Rescaled(scalar::Get<T>(grad, i));
    sum = sum + g * g;
  }
  const T mean = sum / static_cast<T>(elements);
  scalar::Put<T>(history, 0, scalar::Get<T>(history, 0) + mean);
}

}  // namespace

void AddMeanSquare(DType dtype, const UpdateNumbers& numbers, const void* grad, size_t elements,
                   void* history) {
  KVS_CHECK(UpdatesCompute(dtype) && elements > 0);
  dtype == DType::kFloat32 ? AddMeanSquareOf<float>(numbers, grad, elements, history)
                           : AddMeanSquareOf<double>(numbers, grad, elements, history);
}

}  // namespace kvstore

#endif  // HWY_ONCE
