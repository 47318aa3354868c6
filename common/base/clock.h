// The steady clock in milliseconds: the `now` of every core and of every deadline.
#pragma once

#include <chrono>
#include <cstdint>

namespace kvstore {

inline int64_t SteadyNowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace kvstore
