// What SetGradientCompression's user says, as the stores and the servers take it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/compression_config.h"

namespace kvstore {

// {"type", "2bit"}, {"threshold", "0.5"}: the type and its numbers, as text, in any order; the type
// "none" is no compression.
// Errors: INVALID_ARGUMENT no type, a name that comes twice, text that is no number; and those of
// MakeCodec.
absl::StatusOr<CompressionConfig> CompressionConfigOf(
    const std::vector<std::pair<std::string, std::string>>& parameters);

}  // namespace kvstore
