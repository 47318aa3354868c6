// What a worker is told when the system has no memory for what it asks, and may have again.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace kvstore {

inline absl::Status NoMemory(const std::string& key, uint32_t part, std::string_view what) {
  return absl::ResourceExhaustedError(
      fmt::format("{} part {}: memory for {} expected, the system has no more", key, part, what));
}

}  // namespace kvstore
