// Numbers that are not finite: NaNs and infinities, found and replaced. As everywhere in the
// kernels (kernels.h) pointers need no alignment, and the scalar code is the definition.
#pragma once

#include <cstddef>

#include "common/tensor/dtype.h"

namespace kvstore {

// Whether values of `dtype` can be anything but finite: f32, f64, f16, bf16.
constexpr bool MayBeNotFinite(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 ||
         dtype == DType::kBFloat16;
}

// Which of the elements is the first that is not finite; `elements` if all are. An element is not
// finite if all bits of its exponent are ones. Reads up to there: 4 bytes per f32.
size_t FirstNotFinite(DType dtype, const void* x, size_t elements);

// Replaces each element that is not finite by +0. Returns how many that were.
size_t ZeroNotFinite(DType dtype, void* x, size_t elements);

}  // namespace kvstore
