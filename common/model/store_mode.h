// What the type of a job's store says about its pushes and pulls: one rule for the SDK, the servers
// and the scheduler.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"

namespace kvstore {

enum class StoreMode {
  kSync,   // a round is complete when every worker of the view contributed to it
  kAsync,  // a push is applied when it arrives, in the order of its worker's pushes of that part
};

// A type of bounded staleness is this and a number, "dist_ssp:3": asynchronous pushes, and pulls
// that wait for workers that are more than so many pushes behind (server/core/sequence.h).
inline constexpr std::string_view kBoundedStaleness = "dist_ssp:";
inline constexpr uint64_t kStalenessMax = 1000000000;

// "dist_async", "dist_device_async", "dist_async_device", "dist_ssp:3": kAsync; any other name:
// kSync.
constexpr StoreMode StoreModeOf(std::string_view store_type) {
  const bool on_arrival = store_type.find("_async") != std::string_view::npos ||
                          store_type.substr(0, kBoundedStaleness.size()) == kBoundedStaleness;
  return on_arrival ? StoreMode::kAsync : StoreMode::kSync;
}

// 3 of "dist_ssp:3"; nothing of any other type, and of one that CheckStaleness refuses.
std::optional<uint64_t> StalenessBoundOf(std::string_view store_type);

// INVALID_ARGUMENT for a type that begins as one of bounded staleness does and does not go on with
// a number from 0 to kStalenessMax. Types are compared as text, so a number has one text only: "03"
// is refused. Says nothing of other types.
absl::Status CheckStaleness(std::string_view store_type);

}  // namespace kvstore
