#include "common/kernels/convert.h"

#include <cstring>
#include <limits>
#include <type_traits>

#include "common/base/check.h"
#include "common/kernels/cpu/scalar.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

using scalar::Bool;

template <typename T>
constexpr bool kIsFloat =
    std::is_floating_point_v<T> || std::is_same_v<T, F16> || std::is_same_v<T, BF16>;

// Significant bits of T, its sign aside: an int that has no more is held exactly.
template <typename T>
constexpr int Digits() {
  if (std::is_same_v<T, Bool>) return 1;
  if (std::is_same_v<T, F16>) return 11;
  if (std::is_same_v<T, BF16>) return 8;
  return std::numeric_limits<T>::digits;
}

template <typename From, typename To>
constexpr bool Holds() {
  if (std::is_same_v<From, To>) return true;
  if (kIsFloat<From> || std::is_same_v<To, Bool>) return kIsFloat<From> && kIsFloat<To>;
  const bool negative = std::is_signed_v<From> && std::is_integral_v<From>;
  return Digits<From>() <= Digits<To>() && !(negative && std::is_unsigned_v<To>);
}

// Calls use(T()) with the type of an element.
template <typename Use>
void WithElement(DType dtype, const Use& use) {
  switch (dtype) {
    case DType::kFloat32:
      return use(float());
    case DType::kFloat64:
      return use(double());
    case DType::kFloat16:
      return use(F16());
    case DType::kBFloat16:
      return use(BF16());
    case DType::kUInt8:
      return use(uint8_t());
    case DType::kInt8:
      return use(int8_t());
    case DType::kInt32:
      return use(int32_t());
    case DType::kInt64:
      return use(int64_t());
    case DType::kBool:
      return use(Bool());
    case DType::kUnspecified:
      break;
  }
  KVS_CHECK(false);
}

// What `x` is as a number of C++, exactly.
template <typename T>
auto Number(T x) {
  if constexpr (std::is_same_v<T, Bool>) {
    return scalar::Widened(x).byte;
  } else {
    return scalar::Widened(x);
  }
}

template <typename To, typename N>
To Rounded(N number) {
  if constexpr (kIsFloat<To> && sizeof(To) == 2) {
    // From an f64 by way of an f32, but rounded once: see RoundedToOdd.
    const float value = [&] {
      if constexpr (std::is_same_v<N, double>) return RoundedToOdd(number);
      return static_cast<float>(number);
    }();
    if constexpr (std::is_same_v<To, F16>) return ToF16(value);
    if constexpr (std::is_same_v<To, BF16>) return ToBF16(value);
  } else if constexpr (std::is_same_v<To, Bool>) {
    return Bool{number};
  } else {
    return static_cast<To>(number);
  }
}

}  // namespace

bool Converts(DType from, DType to) {
  bool converts = false;
  WithElement(from, [&](auto x) {
    WithElement(to, [&](auto y) { converts = Holds<decltype(x), decltype(y)>(); });
  });
  return converts;
}

void Convert(DType from, const void* x, DType to, void* y, size_t elements) {
  KVS_CHECK(Converts(from, to));
  if (from == to) {
    if (elements > 0) std::memcpy(y, x, elements * DTypeBytes(from));
    return;
  }
  // In SIMD.
  if (to == DType::kFloat32 && AccumulatorOf(from) == to) return Widen(from, y, x, elements);
  if (from == DType::kFloat32 && AccumulatorOf(to) == from) return Narrow(to, y, x, elements);
  WithElement(from, [&](auto element) {
    using From = decltype(element);
    WithElement(to, [&](auto converted) {
      using To = decltype(converted);
      if constexpr (Holds<From, To>()) {
        for (size_t i = 0; i < elements; ++i) {
          scalar::Put(y, i, Rounded<To>(Number(scalar::Get<From>(x, i))));
        }
      }
    });
  });
}

}  // namespace kvstore
