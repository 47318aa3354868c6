// 1bit: each element becomes +1 or -1.
// Source: MXNet 2.x src/kvstore/gradient_compression-inl.h, quantize_1bit.
#pragma once

#include "common/codec/codec.h"

namespace kvstore {

// Parameters: threshold (0.5), any number: what is above it becomes +1. A thirty-second of the
// bytes of f32.
absl::StatusOr<CodecPtr> MakeOneBit(const CompressionConfig& config);

}  // namespace kvstore
