// Numbers for tests of arithmetic: random ones with the awkward ones among them, and a comparison
// of bits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "common/kernels/cpu/scalar.h"
#include "common/tensor/dtype.h"

namespace kvstore::testing {

// Ints are their own dtype's, those without a sign too: the kernels sum them alike.
template <typename T>
constexpr DType DTypeOf() {
  if (std::is_same_v<T, float>) return DType::kFloat32;
  if (std::is_same_v<T, double>) return DType::kFloat64;
  if (std::is_same_v<T, F16>) return DType::kFloat16;
  if (std::is_same_v<T, BF16>) return DType::kBFloat16;
  if (std::is_same_v<T, scalar::Bool>) return DType::kBool;
  if (std::is_same_v<T, uint8_t>) return DType::kUInt8;
  if (std::is_same_v<T, int8_t>) return DType::kInt8;
  return sizeof(T) == 4 ? DType::kInt32 : DType::kInt64;
}

template <typename T>
std::vector<T> AwkwardNumbers() {
  using Limits = std::numeric_limits<T>;
  return {T(0),
          T(-0.0),
          Limits::denorm_min(),
          -Limits::denorm_min(),
          Limits::min(),
          Limits::min() / 3,
          Limits::max(),
          -Limits::max(),
          Limits::infinity(),
          -Limits::infinity(),
          Limits::quiet_NaN()};
}

// `n` numbers, every seventh an awkward one on average: a stretch of a pool that is made once,
// since making numbers would take longer than the kernels do.
template <typename T>
std::vector<T> RandomFloats(std::mt19937_64& random, size_t n) {
  static const std::vector<T> pool = [] {
    const std::vector<T> awkward = AwkwardNumbers<T>();
    std::mt19937_64 pool_random(20240303);
    std::uniform_real_distribution<T> mantissa(T(-2), T(2));
    std::vector<T> out(1 << 16);
    for (T& x : out) {
      const uint64_t r = pool_random();
      x = r % 7 == 0 ? awkward[(r >> 8) % awkward.size()]
                     : std::ldexp(mantissa(pool_random), static_cast<int>((r >> 8) % 16) - 10);
    }
    return out;
  }();
  const size_t begin = random() % (pool.size() - n);
  return {pool.begin() + static_cast<std::ptrdiff_t>(begin),
          pool.begin() + static_cast<std::ptrdiff_t>(begin + n)};
}

// The same of every dtype: of those but f32 and f64, random bits.
template <typename T>
std::vector<T> RandomNumbers(std::mt19937_64& random, size_t n) {
  if constexpr (std::is_floating_point_v<T>) {
    return RandomFloats<T>(random, n);
  } else {
    std::vector<T> out(n);
    for (T& x : out) {
      const uint64_t bits = random();
      std::memcpy(&x, &bits, sizeof(x));
    }
    return out;
  }
}

// Same bits, or both a NaN: which NaN an operation gives is left open.
template <typename T>
bool SameBits(T a, T b) {
  if (std::memcmp(&a, &b, sizeof(T)) == 0) return true;
  if constexpr (std::is_floating_point_v<T>) return std::isnan(a) && std::isnan(b);
  if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) {
    return std::isnan(ToF32(a)) && std::isnan(ToF32(b));
  }
  return false;
}

// Index of the first element that differs, -1 when none does.
template <typename T>
int64_t FirstDifference(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!SameBits(a[i], b[i])) return static_cast<int64_t>(i);
  }
  return -1;
}

}  // namespace kvstore::testing
