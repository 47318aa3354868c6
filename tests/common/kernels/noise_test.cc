// Noise is normally distributed, number by number as noise.h says.
#include "common/kernels/noise.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "common/base/hash.h"

namespace kvstore {
namespace {

constexpr NoiseStream kStream = {5, 17, 3};

// The probability of a normal number below z, by the C library.
double ShareBelow(double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }

// x with x * odd = 1 (mod 2^64): each step doubles the right bits.
uint64_t Reciprocal(uint64_t odd) {
  uint64_t x = odd;
  for (int i = 0; i < 6; ++i) x *= 2 - odd * x;
  return x;
}

// Mix64(Unmixed(h)) = h.
uint64_t Unmixed(uint64_t h) {
  h = h ^ (h >> 31) ^ (h >> 62);
  h *= Reciprocal(0x94d049bb133111eb);
  h = h ^ (h >> 27) ^ (h >> 54);
  h *= Reciprocal(0xbf58476d1ce4e5b9);
  h = h ^ (h >> 30) ^ (h >> 60);
  return h - 0x9e3779b97f4a7c15;
}

// The noise whose hash is `hash`.
double NoiseOf(uint64_t hash) {
  const uint64_t of_stream = Mix64(Mix64(Mix64(kStream.seed) ^ kStream.key) ^ kStream.update);
  const uint64_t index = Unmixed(hash) ^ of_stream;
  double z = 0;
  NormalNoise(DType::kFloat64, kStream, index, 1, &z, 1);
  return z;
}

}  // namespace

TEST_CASE("a noise's number is the one that a normal number is below with the hash's probability",
          "[kernels]") {
  // From one end to the other, and every power of 2 from either, where the formula changes twice.
  std::vector<uint64_t> shares;  // in 2^-52
  constexpr uint64_t kAll = uint64_t{1} << 52;
  for (uint64_t i = 0; i < 2000; ++i) shares.push_back(i * (kAll / 2000));
  for (uint64_t power = 1; power < kAll; power *= 2) {
    shares.push_back(power);
    shares.push_back(kAll - power);
  }
  shares.push_back(0);
  double last = -HUGE_VAL;
  std::sort(shares.begin(), shares.end());
  shares.erase(std::unique(shares.begin(), shares.end()), shares.end());
  for (const uint64_t share : shares) {
    const double u = (static_cast<double>(share) + 0.5) * 0x1p-52;
    const double z = NoiseOf(share << 12);
    CAPTURE(u, z);
    REQUIRE(z > last);
    last = z;
    // z is exact to a few 1e-16 of it, which is up to z^2 + 1 times as much of the smaller share.
    const double smaller = u < 0.5 ? ShareBelow(z) : ShareBelow(-z);
    const double expected = u < 0.5 ? u : 1 - u;
    REQUIRE(std::abs(smaller - expected) <= 1e-15 * (1 + z * z) * expected);
  }
  // The least and the largest: 2^-53 from either end.
  CHECK(NoiseOf(0) == Approx(-8.209536151601387).epsilon(1e-13));
  CHECK(NoiseOf(~uint64_t{0}) == Approx(8.209536151601387).epsilon(1e-13));
}

TEST_CASE("noise is spread as a normal distribution is", "[kernels]") {
  constexpr size_t kNumbers = 200000;
  std::vector<double> z(kNumbers);
  NormalNoise(DType::kFloat64, kStream, 0, 1, z.data(), kNumbers);
  double sum = 0, squares = 0, neighbours = 0;
  for (size_t i = 0; i < kNumbers; ++i) {
    sum += z[i];
    squares += z[i] * z[i];
    if (i > 0) neighbours += z[i] * z[i - 1];
  }
  // Five deviations of each of the means.
  const double n = kNumbers;
  CHECK(std::abs(sum / n) < 5 / std::sqrt(n));
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2 / n));
  CHECK(std::abs(neighbours / n) < 5 / std::sqrt(n));
  // Kolmogorov and Smirnov: above 2.5 / sqrt(n) with a probability of 2 e^-12.5.
  std::sort(z.begin(), z.end());
  double farthest = 0;
  for (size_t i = 0; i < kNumbers; ++i) {
    const double share = ShareBelow(z[i]);
    farthest = std::max({farthest, std::abs(share - static_cast<double>(i) / n),
                         std::abs(share - static_cast<double>(i + 1) / n)});
  }
  CHECK(farthest < 2.5 / std::sqrt(n));
}

TEST_CASE("noise is the same in pieces, and is scaled and rounded once", "[kernels]") {
  std::vector<double> whole(100);
  NormalNoise(DType::kFloat64, kStream, 0, 1, whole.data(), 100);
  std::vector<float> piece(40);
  NormalNoise(DType::kFloat32, kStream, 60, 0.3, piece.data(), 40);
  for (size_t i = 0; i < piece.size(); ++i) {
    CHECK(piece[i] == static_cast<float>(0.3 * whole[60 + i]));
  }
}

}  // namespace kvstore
