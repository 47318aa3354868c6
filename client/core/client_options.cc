#include <fmt/format.h>

#include "client/core/client_core.h"

namespace kvstore {

absl::Status ClientCoreOptions::Check() const {
  if (rounds_ahead_max >= 1 && rounds_ahead_max <= kRoundsAheadMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("rounds_ahead_max: 1 to {} expected, got {}", kRoundsAheadMax, rounds_ahead_max));
}

}  // namespace kvstore
