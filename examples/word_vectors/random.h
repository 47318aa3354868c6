// Random numbers that are functions of where they are used: the same on every worker, whoever does
// the work and in whatever order.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace word_vectors {

// The finalizer of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
// Generators", 2014).
inline uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// What a sequence is for, so that no two uses share their numbers.
enum Purpose : uint64_t { kLineOrder = 1, kLineDraws = 2, kStartVector = 3 };

// A sequence of random numbers for a place, such as (seed, kLineDraws, epoch, line).
class Random {
 public:
  Random(std::initializer_list<uint64_t> place) {
    for (const uint64_t coordinate : place) state_ = Mix(state_ + kGolden + coordinate);
  }

  uint64_t Next() { return Mix(state_ += kGolden); }
  // 0 .. bound - 1. Favours small numbers by less than bound / 2^32.
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(((Next() >> 32) * bound) >> 32); }
  // 0 .. 1, one excluded.
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  static constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
  uint64_t state_ = 0;
};

}  // namespace word_vectors
