// What tests of the kernels share: every instruction set of the machine, arrays at any byte with
// guards around them, and sizes with every remainder.
#pragma once

#include <hwy/targets.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

namespace kvstore::testing {

inline constexpr uint64_t kSeed = 20240301;
inline constexpr uint8_t kGuard = 0xA5;

// Runs `body` once for each instruction set that this machine has and the kernels were built for.
inline void ForEachTarget(const std::function<void()>& body) {
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  REQUIRE(!targets.empty());
  for (const int64_t target : targets) {
    CAPTURE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
}

// An array that starts `offset` bytes after a 64-byte boundary, with guards around it.
template <typename T>
class Placed {
 public:
  Placed(const std::vector<T>& values, size_t offset)
      : elements_(values.size()), bytes_(2 * 64 + offset + values.size() * sizeof(T) + 64, kGuard) {
    const size_t misalignment = reinterpret_cast<uintptr_t>(bytes_.data()) % 64;
    begin_ = 64 + (64 - misalignment) % 64 + offset;
    if (elements_ > 0) std::memcpy(data(), values.data(), elements_ * sizeof(T));
  }
  void* data() { return bytes_.data() + begin_; }
  std::vector<T> values() const {
    std::vector<T> out(elements_);
    if (elements_ > 0) std::memcpy(out.data(), bytes_.data() + begin_, elements_ * sizeof(T));
    return out;
  }
  bool GuardsIntact() const {
    const auto guard = [](uint8_t byte) { return byte == kGuard; };
    const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(begin_);
    const auto end = begin + static_cast<std::ptrdiff_t>(elements_ * sizeof(T));
    return std::all_of(bytes_.begin(), begin, guard) && std::all_of(end, bytes_.end(), guard);
  }

 private:
  size_t elements_;
  std::vector<uint8_t> bytes_;
  size_t begin_;
};

inline const std::vector<size_t> kSizes = {0,  1,  2,  3,  4,  5,  7,  8,  9,  15,  16,
                                           17, 31, 32, 33, 61, 63, 64, 65, 67, 127, 257};
inline const std::vector<size_t> kOffsets = {0, 1, 4, 63};
inline constexpr size_t kLarge = 30011;

// Calls `check(elements, offset of the first array, offset of the second)` for all of them.
inline void ForEachShape(const std::function<void(size_t, size_t, size_t)>& check) {
  for (const size_t elements : kSizes) {
    for (const size_t a : kOffsets) {
      for (const size_t b : kOffsets) check(elements, a, b);
    }
  }
  check(kLarge, 0, 0);
  check(kLarge, 1, 0);
}

}  // namespace kvstore::testing
