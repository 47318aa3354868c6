// dithering: each element becomes one of a few levels between -m and m, where m is the largest
// magnitude of the block; which of its two neighbours, chance decides, so that on average it is the
// element. With s = 2^(bits-1) - 1 levels on each side, x becomes l * (m / s) for a whole number l,
// |l| the part before the point of |x| * (s / m) + u, with u from [0, 1) by a hash of seed and
// pair of neighbours.
//
// Encoded: m (f32; of an f64 key f64, little-endian), then l + s in `bits` bits for each element,
// the first in the highest bits of a byte; what is left of the last byte is zeros. If an element is
// not finite, m is a NaN, and so are all.
// Source: Alistarh et al.: QSGD, 2017, with the maximum as norm.
#pragma once

#include "common/codec/codec.h"

namespace kvstore {

// Parameters: bits (4), 2, 4 or 8; seed (0), a whole number from 0 to 2^53.
absl::StatusOr<CodecPtr> MakeDithering(const CompressionConfig& config);

}  // namespace kvstore
