// What is pushed to a compressed key, and how it must be encoded: 2bit with threshold 0.5, as
// docs/compression.md says it. Shares no code with common/codec.
//
// A contribution is 32 elements of eighths, so that all sums are exact; its code is 64 bits, which
// the simulated servers fold as the number that it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/support/number_values.h"

namespace kvstore::sim {

using Eighths = std::array<int, 32>;

// The elements of contribution number `contribution`: two thresholds, so that its code is never 0,
// even if it is encoded twice, then -4/8 to 4/8 each.
inline Eighths ElementsOf(uint64_t contribution) {
  Eighths elements{8};
  for (size_t i = 1; i < elements.size(); ++i) {
    elements[i] = static_cast<int>(Mix64(contribution + i) % 9) - 4;
  }
  return elements;
}

// Of one worker and one part.
class TwoBitModel {
 public:
  // The eight bytes of the next contribution, as a number of this machine.
  uint64_t Next(const Eighths& elements) {
    std::array<uint8_t, 8> bytes{};
    for (size_t i = 0; i < elements.size(); ++i) {
      int& left = left_over_[i];
      left += elements[i];
      const bool up = left >= kThreshold, down = left <= -kThreshold;
      left -= up ? kThreshold : down ? -kThreshold : 0;
      const unsigned code = up ? 3 : down ? 2 : 0;
      bytes[i / 4] = static_cast<uint8_t>(bytes[i / 4] | code << (6 - i % 4 * 2));
    }
    uint64_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof number);
    return number;
  }

 private:
  static constexpr int kThreshold = 4;  // 0.5

  Eighths left_over_{};
};

}  // namespace kvstore::sim
