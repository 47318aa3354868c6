// Element types of values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvstore {

// The numbers are those of kvstore.v1.DType on the wire and of <kvstore/ndarray.h>.
enum class DType : uint8_t {
  kUnspecified = 0,
  kFloat32 = 1,
  kFloat64 = 2,
  kFloat16 = 3,
  kBFloat16 = 4,
  kUInt8 = 5,
  kInt8 = 6,
  kInt32 = 7,
  kInt64 = 8,
  kBool = 9,
};

// Bytes of one element; 0 for a number that is no dtype.
constexpr size_t DTypeBytes(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kInt64:
      return 8;
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kFloat16:
    case DType::kBFloat16:
      return 2;
    case DType::kUInt8:
    case DType::kInt8:
    case DType::kBool:
      return 1;
    case DType::kUnspecified:
      return 0;
  }
  return 0;
}

// "f32", "bf16", …; "dtype?" for a number that is no dtype.
constexpr std::string_view DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "f32";
    case DType::kFloat64:
      return "f64";
    case DType::kFloat16:
      return "f16";
    case DType::kBFloat16:
      return "bf16";
    case DType::kUInt8:
      return "u8";
    case DType::kInt8:
      return "i8";
    case DType::kInt32:
      return "i32";
    case DType::kInt64:
      return "i64";
    case DType::kBool:
      return "bool";
    case DType::kUnspecified:
      break;
  }
  return "dtype?";
}

}  // namespace kvstore
