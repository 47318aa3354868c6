// The steady clock: in milliseconds it is the `now` of every core and of every deadline, in
// nanoseconds that of profiles.
#pragma once

#include <chrono>
#include <cstdint>

namespace kvstore {

inline int64_t SteadyNowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline int64_t SteadyNowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace kvstore
