#include "common/initial/initial_values.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"
#include "common/kernels/convert.h"
#include "common/kernels/finite.h"
#include "common/kernels/noise.h"

namespace kvstore {
namespace {

template <typename T>
void PutAs(double value, uint8_t* to) {
  const auto number = static_cast<T>(value);
  std::memcpy(to, &number, sizeof(number));
}

// A number that an int dtype has (CheckInitRule).
void PutInt(DType dtype, double value, uint8_t* to) {
  switch (dtype) {
    case DType::kUInt8:
    case DType::kBool:
      return PutAs<uint8_t>(value, to);
    case DType::kInt8:
      return PutAs<int8_t>(value, to);
    case DType::kInt32:
      return PutAs<int32_t>(value, to);
    default:
      KVS_CHECK(dtype == DType::kInt64);
      return PutAs<int64_t>(value, to);
  }
}

}  // namespace

InitialValues::InitialValues(const InitRuleConfig& rule, KeyId key, DType dtype)
    : rule_(rule), key_(key), dtype_(dtype) {
  const double value = rule.kind == InitRuleKind::kConstant ? rule.a : 0;
  if (MayBeNotFinite(dtype)) {
    Convert(DType::kFloat64, &value, dtype, constant_, 1);
  } else {
    PutInt(dtype, value, constant_);
  }
}

void InitialValues::Write(uint64_t first, size_t count, void* out) const {
  auto* to = static_cast<uint8_t*>(out);
  const size_t bytes = DTypeBytes(dtype_);
  if (rule_.kind != InitRuleKind::kUniform && rule_.kind != InitRuleKind::kNormal) {
    for (size_t i = 0; i < count; ++i, to += bytes) std::memcpy(to, constant_, bytes);
    return;
  }
  constexpr size_t kBlock = 256;
  double drawn[kBlock];
  const NoiseStream stream{rule_.seed, key_, 0};
  while (count > 0) {
    const size_t block = std::min(count, kBlock);
    if (rule_.kind == InitRuleKind::kUniform) {
      UniformNoise(stream, first, rule_.a, rule_.b, drawn, block);
    } else {
      NormalNoise(DType::kFloat64, stream, first, rule_.b, drawn, block);
      for (size_t i = 0; i < block; ++i) drawn[i] = rule_.a + drawn[i];
    }
    Convert(DType::kFloat64, drawn, dtype_, to, block);
    first += block;
    count -= block;
    to += block * bytes;
  }
}

}  // namespace kvstore
