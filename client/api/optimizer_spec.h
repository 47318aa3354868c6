// What SetOptimizer's user says, as the stores and the servers take it.
#pragma once

#include "absl/status/statusor.h"
#include "client/api/key_table.h"
#include "common/wire/frame.h"
#include "kvstore/optimizer.h"

namespace kvstore {

// Multipliers in one specification: so that it fits a frame.
inline constexpr size_t kMultipliersMax = 65536;

// `keys`: of the store, whose kind (int, string) the multipliers' keys must have. They need not
// exist.
// Errors: INVALID_ARGUMENT an unknown optimizer, a parameter or multiplier that is none of its,
// more than kMultipliersMax multipliers, keys of both kinds, a name that is no key's.
absl::StatusOr<OptimizerConfig> OptimizerConfigOf(const OptimizerSpec& spec, const KeyTable& keys);

}  // namespace kvstore
