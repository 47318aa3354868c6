// NormSums: sums of squares over a whole value, of which an updater makes the norms that it needs
// (lamb, lans, lars). What each of them is the sum of is the updater's matter; what is not used
// stays 0.
//
// A value lies in parts on several servers. Each part has the sums of its own elements, and those
// of the value are ((part 0 + part 1) + part 2) + …: the same bits, whoever adds them up.
#pragma once

#include <array>
#include <cstddef>

namespace kvstore {

struct NormSums {
  // As many as any updater needs.
  static constexpr size_t kCount = 4;

  std::array<double, kCount> squares{};

  // The sums of the parts before, and those of the next part.
  NormSums& operator+=(const NormSums& next) {
    for (size_t i = 0; i < kCount; ++i) squares[i] += next.squares[i];
    return *this;
  }
  bool operator==(const NormSums& other) const { return squares == other.squares; }
};

}  // namespace kvstore
