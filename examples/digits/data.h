// The handwritten digits: loading them, and dealing them out to the workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace digits {

inline constexpr size_t kPixels = 64;
inline constexpr size_t kClasses = 10;

struct Sample {
  float pixels[kPixels];  // 0 white .. 1 black
  uint8_t digit;
};
using Samples = std::vector<Sample>;

// Reads data/digits.csv. Throws std::runtime_error that names the file and the line.
Samples Load(const std::string& path);

struct Split {
  Samples train;  // 80 %
  Samples test;
};
// The same split for the same seed, on every worker.
Split SplitSamples(Samples samples, uint64_t seed);

// Every `workers`-th sample, starting at `rank`: each sample belongs to exactly one worker.
Samples ShareOf(const Samples& train, int rank, int workers);

// std::shuffle may differ between standard libraries; this one does not.
void Shuffle(Samples& samples, std::mt19937_64& random);

}  // namespace digits
