// Noise for updates, and for values that come to be by rule: numbers that follow from names of what
// they are for. No generator runs: the same names give the same bits on every machine, in whatever
// order and pieces they are asked for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/tensor/dtype.h"

namespace kvstore {

// What the noise is for: number `index` of it is a function of these and of `index`.
struct NoiseStream {
  uint64_t seed = 0;
  uint64_t key = 0;
  uint64_t update = 0;
};

// out[i] = sigma * z(first + i), rounded once to `dtype` (kFloat32 or kFloat64, KVS_CHECKed), where
// z of an index is the number that a normal distribution (mean 0, deviation 1) is below with
// probability u:
//   h = Mix64(Mix64(Mix64(Mix64(seed) ^ key) ^ update) ^ index)        common/base/hash.h
//   u = ((h / 2^12, rounded down) + 0.5) / 2^52
//   z = the rational approximations of algorithm AS 241 (Wichura, Applied Statistics 37, 1988:
//       PPND16), with their logarithm by a series: sums, products and roots of f64 alone, as exact
//       to about 1e-15
// 15 to 40 ns per element where it was measured: many times an update.
void NormalNoise(DType dtype, const NoiseStream& stream, uint64_t first, double sigma, void* out,
                 size_t elements);

// out[i] = low + u(first + i) * (high - low), in f64, with u as above: above low and below high but
// for rounding.
void UniformNoise(const NoiseStream& stream, uint64_t first, double low, double high, double* out,
                  size_t elements);

}  // namespace kvstore
