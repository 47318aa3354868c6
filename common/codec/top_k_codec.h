// topk: the k elements of a block with the largest magnitudes are sent as they are, with their
// places; the others are left over. k = max(1, ratio * elements, rounded down). Of equal magnitudes
// the first ones go; a NaN counts as the largest.
//
// Encoded: k places (u32, ascending), then their k values (f32; of an f64 key f64), little-endian.
// Source: Aji, Heafield: Sparse Communication for Distributed Gradient Descent, 2017.
#pragma once

#include "common/codec/codec.h"

namespace kvstore {

// Parameters: ratio (0.01), > 0 and at most 0.25.
absl::StatusOr<CodecPtr> MakeTopK(const CompressionConfig& config);

}  // namespace kvstore
