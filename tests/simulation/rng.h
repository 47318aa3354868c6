// Rng: the only source of randomness of a simulated run; one seed, one run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/hash.h"

namespace kvstore::sim {

// SplitMix64 (Steele, Lea, Flood 2014): Mix64 over a counter.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(Mix64(seed)) {}

  uint64_t Next() { return Mix64(state_ += 0x9e3779b97f4a7c15u); }
  // [0, n); n > 0.
  uint64_t Below(uint64_t n) { return Next() % n; }
  // [low, high].
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
  }
  bool Permille(uint32_t permille) { return Below(1000) < permille; }
  bool Coin() { return (Next() & 1) != 0; }
  template <typename T>
  void Shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Below(i)]);
  }
  // A generator of its own, so that what it draws does not shift what this one draws.
  Rng Fork() { return Rng(Next()); }

 private:
  uint64_t state_;
};

}  // namespace kvstore::sim
