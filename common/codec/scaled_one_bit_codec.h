// onebit_scaled: each element becomes +m or -m by its sign, where m is the mean magnitude of the
// block.
//
// Encoded: m (f32; of an f64 key f64, little-endian), then a bit for each element as in 1bit: 1 for
// >= 0. m is the sum of the magnitudes in f64, in 8 sums of every eighth element that are added in
// order, divided by their number and rounded once. If an element is not finite, so is m not.
// Source: Seide et al.: 1-Bit Stochastic Gradient Descent, 2014; Bernstein et al.: signSGD, 2018;
// BytePS's onebit compressor.
#pragma once

#include "common/codec/codec.h"

namespace kvstore {

// No parameters.
absl::StatusOr<CodecPtr> MakeScaledOneBit(const CompressionConfig& config);

}  // namespace kvstore
