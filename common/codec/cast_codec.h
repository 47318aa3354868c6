// fp16, bf16: each element is rounded to a float of 16 bits, to nearest, ties to even. What is
// finite stays so: beyond the range it becomes the largest number there is, and the rest is left
// over.
#pragma once

#include "common/codec/codec.h"

namespace kvstore {

// Parameters: pull (0), 0 or 1: whether pulls are rounded, too. Half the bytes of f32.
absl::StatusOr<CodecPtr> MakeFp16(const CompressionConfig& config);
absl::StatusOr<CodecPtr> MakeBf16(const CompressionConfig& config);

}  // namespace kvstore
