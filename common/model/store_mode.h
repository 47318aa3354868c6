// What the type of a job's store says about its pushes: one rule for the SDK, the servers and the
// scheduler.
#pragma once

#include <string_view>

namespace kvstore {

enum class StoreMode {
  kSync,   // a round is complete when every worker of the view contributed to it
  kAsync,  // a push is applied when it arrives, in the order of its worker's pushes of that part
};

// "dist_async", "dist_device_async", "dist_async_device": kAsync; any other name: kSync.
constexpr StoreMode StoreModeOf(std::string_view store_type) {
  return store_type.find("_async") == std::string_view::npos ? StoreMode::kSync : StoreMode::kAsync;
}

}  // namespace kvstore
