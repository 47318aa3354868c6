// Values of one dtype as values of another. As everywhere in the kernels (kernels.h) pointers need
// no alignment, and the bits are the same on every machine.
#pragma once

#include <cstddef>

#include "common/tensor/dtype.h"

namespace kvstore {

// Whether values of `from` may be read as values of `to`. Floats may become any floats. Ints and
// bools may become what holds each of their values exactly: a u8 every other dtype but i8 and bool,
// an i32 i64 and f64, an i64 nothing else. Floats become no ints. KVS_CHECKs that both are dtypes.
bool Converts(DType from, DType to);

// y[i] = x[i] in dtype `to`. A float that `to` does not have is rounded once, to nearest, ties to
// even, beyond the range to infinity; a NaN stays one. A bool is 0 or 1. KVS_CHECKs Converts. The
// arrays do not overlap.
void Convert(DType from, const void* x, DType to, void* y, size_t elements);

}  // namespace kvstore
