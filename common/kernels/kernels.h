// What the server and the SDK compute on arrays of numbers: sums and conversions here, updates in
// updates.h, noise in noise.h; together the whole surface of the kernels.
//
// Bits are a contract. Every function does, for each element on its own, exactly the written
// operations in the written order, each rounded once to nearest-even in the dtype that is computed
// in: no fused multiply-add, no reassociation, denormals kept, exact square roots and quotients. So
// the result of an element does not depend on the CPU, the SIMD width, the position in the array,
// or how a value was cut into parts. The scalar code (cpu/scalar.h, and the formulas of updates as
// written for one number) is the definition; tests hold every SIMD target to its bits. One
// exception: which NaN comes out of an operation on NaNs is not defined, only that it is one.
//
// Pointers need no alignment: payload slices cut elements at any byte. Arrays must not overlap,
// except where a function says so. The caller's floating-point environment must be the default one
// (round to nearest, no flush-to-zero).
//
// Threading: pure functions; one thread each, no pool behind them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/tensor/dtype.h"

namespace kvstore {

// Sums, for every dtype (KVS_CHECKed to be one).
//
// Ints wrap. A bool is false when its byte is 0, else true, and is summed by "or"; sums are 0 or 1.

// The dtype in which values of `dtype` are summed: a sum of f16 or bf16 is an f32 and is rounded
// once, when it is complete.
constexpr DType AccumulatorOf(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kBFloat16 ? DType::kFloat32 : dtype;
}

// acc[i] = x[i] in AccumulatorOf(dtype), exactly.
void Widen(DType dtype, void* acc, const void* x, size_t elements);

// x[i] = acc[i], in AccumulatorOf(dtype), rounded to `dtype`: to nearest, ties to even, beyond the
// range to infinity; a NaN stays one.
void Narrow(DType dtype, void* x, const void* acc, size_t elements);

// acc[i] = acc[i] + x[i]: one step of the left fold that sums a round. `acc` is in
// AccumulatorOf(dtype). Moves 12 bytes per f32, 10 per f16.
void Accumulate(DType dtype, void* acc, const void* x, size_t elements);

// acc[i] = acc[i] / divisor, of f32 or f64 (KVS_CHECKed): of a sum of floats, the mean. Moves 8
// bytes per f32.
void DivideBy(DType dtype, uint32_t divisor, void* acc, size_t elements);

// How a result is written. Stores through the cache first read what they overwrite and push out
// what others have there. That is right for what somebody reads soon; for 100 MB it is half of all
// bytes moved, and then streamed stores go past the cache.
enum class Stores : uint8_t { kCached, kStreamed };

// dst[i] = (((xs[0][i] + xs[1][i]) + xs[2][i]) + …): the fold over `count` >= 1 arrays in one pass.
// It starts from the first value and not from 0, so that a lone -0.0 stays -0.0. Same bits as
// Widen of xs[0] and count - 1 times Accumulate, in 4 (count + 1) bytes per f32. `dst` is in
// AccumulatorOf(dtype); it may be one of the `xs` where that is `dtype`. Streamed stores want a
// `dst` at a multiple of its elements' size (Buffers are); elsewhere they are as cached ones.
void LeftFold(DType dtype, void* dst, const void* const* xs, size_t count, size_t elements,
              Stores stores = Stores::kCached);

// The same, rounded once to `dtype`, in which `dst` is. `dst` may be one of the `xs`.
void RoundedFold(DType dtype, void* dst, const void* const* xs, size_t count, size_t elements);

// The way back: copies `bytes` bytes to each of the `count` places in one pass, by streamed stores:
// count + 1 bytes moved for each byte, where a memcpy to each moves 3 count. The places may be the
// same ones; none overlaps `src`.
void Spread(void* const* dsts, size_t count, const void* src, size_t bytes);

}  // namespace kvstore
