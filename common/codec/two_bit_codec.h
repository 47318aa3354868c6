// 2bit: each element becomes +threshold, -threshold or nothing.
// Source: MXNet 2.x and 1.9.1 src/kvstore/gradient_compression-inl.h, quantize_2bit.
#pragma once

#include "common/codec/codec.h"

namespace kvstore {

// Parameters: threshold (0.5), > 0. A sixteenth of the bytes of f32.
absl::StatusOr<CodecPtr> MakeTwoBit(const CompressionConfig& config);

}  // namespace kvstore
