// How large the numbers of an array are (common/tensor/figures.h).
#pragma once

#include <cstddef>

#include "common/tensor/dtype.h"
#include "common/tensor/figures.h"

namespace kvstore {

// Of `elements` numbers of any dtype (a bool is 0 or 1), in double. Reads each once.
Figures FiguresOf(DType dtype, const void* x, size_t elements);

}  // namespace kvstore
