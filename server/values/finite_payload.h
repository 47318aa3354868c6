// NaNs and infinities in what a push brings.
#pragma once

#include <cstddef>
#include <optional>

#include "common/tensor/dtype.h"
#include "common/wire/payload.h"

namespace kvstore {

struct NotFiniteAt {
  size_t element = 0;
  double number = 0;  // what it is
};

// The first element of `data`, values of `dtype` cut into slices anywhere, that is not finite. May
// throw std::bad_alloc: where there are several slices they are copied.
std::optional<NotFiniteAt> FindNotFinite(DType dtype, const Payload& data);

// `data` if all of it is finite; else a copy in which each number that is not is 0. May throw
// std::bad_alloc.
Payload Finite(DType dtype, const Payload& data);

}  // namespace kvstore
