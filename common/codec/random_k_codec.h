// randomk: k elements of a block, chosen by chance, are sent as they are; the others are left over.
// k = max(1, ratio * elements, rounded down): the block is cut into k stretches, and one element of
// each is chosen by a hash of the seed. So nobody sends places, and all senders whose blocks have
// the same seed choose the same ones.
//
// Encoded: the seed (u64), then the k values in order (f32; of an f64 key f64), little-endian.
// Source: Stich et al.: Sparsified SGD with Memory, 2018 (which draws without stretches).
#pragma once

#include "common/codec/codec.h"

namespace kvstore {

// Parameters: ratio (0.01), > 0 and at most 0.25; seed (0), a whole number from 0 to 2^53.
absl::StatusOr<CodecPtr> MakeRandomK(const CompressionConfig& config);

}  // namespace kvstore
