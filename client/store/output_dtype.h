// Pulls into arrays of another dtype than the key's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/tensor/dtype.h"
#include "common/wire/payload.h"

namespace kvstore {

// `values`, of dtype `from`, as values of `to` (kernels/convert.h, which says what may become
// what); the very same bytes if that is `from`. May throw std::bad_alloc.
Payload Converted(Payload values, DType from, DType to);

}  // namespace kvstore
