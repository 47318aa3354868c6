// What a round makes of values of every dtype, by the definitions of the formats: elements are
// taken apart and put together here, not by common/kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "common/tensor/dtype.h"

namespace kvstore::testing {

// A float of 16 bits: sign, exponent, fraction.
class SmallFloat {
 public:
  SmallFloat(int exponent_bits, int fraction_bits)
      : fraction_bits_(fraction_bits), infinity_(0x7fffu >> fraction_bits << fraction_bits) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    for (uint32_t bits = 0; bits <= infinity_; ++bits) {
      const int exponent = static_cast<int>(bits) >> fraction_bits;
      const int fraction = static_cast<int>(bits & ((1u << fraction_bits) - 1));
      const int significand = exponent == 0 ? fraction : fraction + (1 << fraction_bits);
      magnitudes_.push_back(
          std::ldexp(significand, (exponent == 0 ? 1 : exponent) - bias - fraction_bits));
    }
  }

  uint32_t infinity() const { return infinity_; }
  bool IsNaN(uint32_t bits) const { return (bits & 0x7fff) > infinity_; }
  // The number that `bits` stand for; for infinity what would come next after the largest.
  double Meaning(uint32_t bits) const {
    const double magnitude = magnitudes_[bits & 0x7fff];
    return bits & 0x8000 ? -magnitude : magnitude;
  }
  // One of either sign with a magnitude from 2^-8 to 1, by the bits of `random`.
  uint32_t Random(uint64_t random) const {
    const uint32_t one = (infinity_ >> 1) & infinity_;  // its exponent is the bias
    const auto eighths = static_cast<uint32_t>(random % 8 + 1) << fraction_bits_;
    const uint32_t fraction = static_cast<uint32_t>(random >> 8) & ((1u << fraction_bits_) - 1);
    return (one - eighths) | fraction | (static_cast<uint32_t>(random >> 32) & 0x8000);
  }
  // To nearest, ties to even, by comparing distances; exact, since doubles hold all of them.
  uint32_t Nearest(double value) const {
    const uint32_t sign = std::signbit(value) ? 0x8000 : 0;
    const double x = std::abs(value);
    if (x >= magnitudes_.back()) return sign | infinity_;
    const auto after = std::upper_bound(magnitudes_.begin(), magnitudes_.end(), x);
    const auto high = static_cast<uint32_t>(after - magnitudes_.begin());
    const double above = *after - x, below = x - *(after - 1);
    if (below != above) return sign | (below < above ? high - 1 : high);
    return sign | (high % 2 == 0 ? high : high - 1);
  }

 private:
  const int fraction_bits_;
  const uint32_t infinity_;
  std::vector<double> magnitudes_;  // by bits, up to infinity's
};

inline const SmallFloat kF16(5, 10);
inline const SmallFloat kBF16(8, 7);

// The bytes of an array.
using Bytes = std::vector<uint8_t>;

class DTypeOracle {
 public:
  explicit DTypeOracle(DType dtype) : dtype_(dtype), width_(DTypeBytes(dtype)) {}

  // Elements that are finite, of either sign, and sum to finite ones; ints of all sizes, bools with
  // bytes other than 0 and 1 among them.
  Bytes Random(std::mt19937_64& random, size_t elements) const {
    Bytes bytes(elements * width_);
    for (size_t i = 0; i < elements; ++i) {
      const float number =
          std::ldexp(static_cast<float>(static_cast<int32_t>(random() % 0x1000000) - 0x800000),
                     static_cast<int>(random() % 8) - 24);
      uint64_t bits = random();
      if (dtype_ == DType::kBool && bits % 2 == 0) bits = 0;
      if (dtype_ == DType::kFloat16) {
        bits = kF16.Random(bits);
      } else if (dtype_ == DType::kBFloat16) {
        bits = kBF16.Random(bits);
      } else if (IsFloat()) {
        bits = FromFloat(number);
      }
      Put(bytes, i, bits);
    }
    return bytes;
  }
  // What a worker contributes: its arrays summed in their order, rounded once.
  Bytes Contribution(const std::vector<Bytes>& arrays) const { return Round(arrays, nullptr); }
  // The value after a round with an optimizer: "assign", "sum", or "test" with `scale`.
  Bytes Assign(const std::vector<Bytes>& contributions) const {
    return Round(contributions, nullptr);
  }
  Bytes Sum(const Bytes& value, const std::vector<Bytes>& contributions) const {
    return Round(contributions, &value);
  }
  Bytes Test(const Bytes& value, const std::vector<Bytes>& contributions, float scale) const {
    const Bytes sum = Contribution(contributions);
    Bytes out(value.size());
    for (size_t i = 0; i < value.size() / width_; ++i) {
      if (dtype_ == DType::kFloat64) {
        const double scaled = double{scale} * ToDouble(Get(sum, i));
        Put(out, i, FromDouble(ToDouble(Get(value, i)) + scaled));
      } else {
        const float scaled = scale * ToFloat(Get(sum, i));
        Put(out, i, FromFloat(ToFloat(Get(value, i)) + scaled));
      }
    }
    return out;
  }
  // The elements of `bytes` as numbers; exact but for i64s of more than 53 bits. An infinity of 16
  // bits is what would come next after the largest number.
  std::vector<double> Numbers(const Bytes& bytes) const {
    std::vector<double> numbers;
    for (size_t i = 0; i < bytes.size() / width_; ++i) numbers.push_back(Number(Get(bytes, i)));
    return numbers;
  }
  // The nearest elements to these numbers, ties to even: the numbers themselves if this is an int.
  Bytes Nearest(const std::vector<double>& numbers) const {
    Bytes bytes(numbers.size() * width_);
    for (size_t i = 0; i < numbers.size(); ++i) Put(bytes, i, FromNumber(numbers[i]));
    return bytes;
  }
  bool IsFloat() const {
    return dtype_ == DType::kFloat32 || dtype_ == DType::kFloat64 || dtype_ == DType::kFloat16 ||
           dtype_ == DType::kBFloat16;
  }

 private:
  uint64_t Get(const Bytes& bytes, size_t i) const {
    uint64_t bits = 0;
    for (size_t k = width_; k-- > 0;) bits = bits << 8 | bytes[i * width_ + k];
    return bits;
  }
  void Put(Bytes& bytes, size_t i, uint64_t bits) const {
    for (size_t k = 0; k < width_; ++k) bytes[i * width_ + k] = static_cast<uint8_t>(bits >> 8 * k);
  }
  static double ToDouble(uint64_t bits) {
    double number;
    std::memcpy(&number, &bits, sizeof(number));
    return number;
  }
  static uint64_t FromDouble(double number) {
    uint64_t bits;
    std::memcpy(&bits, &number, sizeof(bits));
    return bits;
  }
  double Number(uint64_t bits) const {
    if (dtype_ == DType::kFloat64) return ToDouble(bits);
    if (IsFloat()) return ToFloat(bits);
    if (dtype_ == DType::kBool) return bits != 0 ? 1 : 0;
    if (dtype_ == DType::kUInt8) return static_cast<double>(bits);
    const auto unused = static_cast<int>(64 - 8 * width_);
    return static_cast<double>(static_cast<int64_t>(bits << unused) >> unused);
  }
  uint64_t FromNumber(double number) const {
    if (dtype_ == DType::kFloat16) return kF16.Nearest(number);
    if (dtype_ == DType::kBFloat16) return kBF16.Nearest(number);
    if (dtype_ == DType::kFloat64) return FromDouble(number);
    if (IsFloat()) return FromFloat(static_cast<float>(number));
    return static_cast<uint64_t>(static_cast<int64_t>(number));
  }
  // Of the floats other than f64.
  float ToFloat(uint64_t bits) const {
    if (dtype_ == DType::kFloat16)
      return static_cast<float>(kF16.Meaning(static_cast<uint32_t>(bits)));
    if (dtype_ == DType::kBFloat16) {
      return static_cast<float>(kBF16.Meaning(static_cast<uint32_t>(bits)));
    }
    float number;
    std::memcpy(&number, &bits, sizeof(number));
    return number;
  }
  uint64_t FromFloat(float number) const {
    if (dtype_ == DType::kFloat16) return kF16.Nearest(number);
    if (dtype_ == DType::kBFloat16) return kBF16.Nearest(number);
    if (dtype_ == DType::kFloat64) return FromDouble(number);
    uint32_t bits;
    std::memcpy(&bits, &number, sizeof(bits));
    return bits;
  }

  // The fold of the arrays, rounded, and added to `value` if there is one.
  Bytes Round(const std::vector<Bytes>& arrays, const Bytes* value) const {
    Bytes out(arrays[0].size());
    for (size_t i = 0; i < out.size() / width_; ++i) {
      uint64_t bits = 0;
      if (dtype_ == DType::kFloat64) {
        double sum = ToDouble(Get(arrays[0], i));
        for (size_t k = 1; k < arrays.size(); ++k) sum = sum + ToDouble(Get(arrays[k], i));
        if (value != nullptr) sum = ToDouble(Get(*value, i)) + sum;
        bits = FromDouble(sum);
      } else if (IsFloat()) {
        float sum = ToFloat(Get(arrays[0], i));
        for (size_t k = 1; k < arrays.size(); ++k) sum = sum + ToFloat(Get(arrays[k], i));
        bits = FromFloat(sum);
        if (value != nullptr) bits = FromFloat(ToFloat(Get(*value, i)) + ToFloat(bits));
      } else {
        const auto add = [&](uint64_t term) {
          bits = dtype_ == DType::kBool ? bits | (term != 0) : bits + term;
        };
        for (const Bytes& array : arrays) add(Get(array, i));
        if (value != nullptr) add(Get(*value, i));
      }
      Put(out, i, bits);
    }
    return out;
  }

  const DType dtype_;
  const size_t width_;
};

}  // namespace kvstore::testing
