#include "bench/kvbench/element.h"

#include <cmath>
#include <cstring>

namespace kvstore::bench {
namespace {

template <typename T>
T Load(const Elements& elements, size_t i) {
  return static_cast<const T*>(elements.data)[i];
}

template <typename T>
void Store(const Elements& elements, size_t i, double value) {
  static_cast<T*>(elements.data)[i] = static_cast<T>(value);
}

// IEEE 754 binary16, without the help of the library under test.
double FromHalf(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  const double sign = half >> 15 != 0 ? -1 : 1;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  if (exponent == 31) return fraction != 0 ? NAN : sign * INFINITY;
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

// Exact for integers below 2^11.
uint16_t ToHalf(double value) {
  if (value == 0) return 0;
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(value), &exponent);  // 0.5 .. 1
  const auto bits = static_cast<uint16_t>(std::ldexp(fraction, 11) - 1024);
  return static_cast<uint16_t>((value < 0 ? 1 << 15 : 0) | (exponent + 14) << 10 | bits);
}

// bfloat16 is the upper half of a float.
double FromBrainFloat(uint16_t half) {
  const uint32_t bits = uint32_t{half} << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

uint16_t ToBrainFloat(double value) {
  const auto narrow = static_cast<float>(value);
  uint32_t bits = 0;
  std::memcpy(&bits, &narrow, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}

}  // namespace

int ExactBits(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return 24;
    case DataType::kFloat64:
    case DataType::kInt64:
      return 53;
    case DataType::kFloat16:
      return 11;
    case DataType::kBFloat16:
    case DataType::kUInt8:
      return 8;
    case DataType::kInt8:
      return 7;
    case DataType::kInt32:
      return 31;
    case DataType::kBool:
      return 1;
  }
  return 0;
}

bool IsInteger(DataType dtype) {
  switch (dtype) {
    case DataType::kUInt8:
    case DataType::kInt8:
    case DataType::kInt32:
    case DataType::kInt64:
      return true;
    default:
      return false;
  }
}

double Wrapped(DataType dtype, int64_t value) {
  switch (dtype) {
    case DataType::kUInt8:
      return static_cast<uint8_t>(value);
    case DataType::kInt8:
      return static_cast<int8_t>(value);
    case DataType::kInt32:
      return static_cast<int32_t>(value);
    default:
      return static_cast<double>(value);
  }
}

double Elements::Get(size_t i) const {
  switch (dtype) {
    case DataType::kFloat32:
      return Load<float>(*this, i);
    case DataType::kFloat64:
      return Load<double>(*this, i);
    case DataType::kFloat16:
      return FromHalf(Load<uint16_t>(*this, i));
    case DataType::kBFloat16:
      return FromBrainFloat(Load<uint16_t>(*this, i));
    case DataType::kUInt8:
    case DataType::kBool:
      return Load<uint8_t>(*this, i);
    case DataType::kInt8:
      return Load<int8_t>(*this, i);
    case DataType::kInt32:
      return Load<int32_t>(*this, i);
    case DataType::kInt64:
      return static_cast<double>(Load<int64_t>(*this, i));
  }
  return NAN;
}

void Elements::Set(size_t i, double value) const {
  switch (dtype) {
    case DataType::kFloat32:
      return Store<float>(*this, i, value);
    case DataType::kFloat64:
      return Store<double>(*this, i, value);
    case DataType::kFloat16:
      static_cast<uint16_t*>(data)[i] = ToHalf(value);
      return;
    case DataType::kBFloat16:
      static_cast<uint16_t*>(data)[i] = ToBrainFloat(value);
      return;
    case DataType::kUInt8:
    case DataType::kBool:
      return Store<uint8_t>(*this, i, value);
    case DataType::kInt8:
      return Store<int8_t>(*this, i, value);
    case DataType::kInt32:
      return Store<int32_t>(*this, i, value);
    case DataType::kInt64:
      return Store<int64_t>(*this, i, value);
  }
}

}  // namespace kvstore::bench
