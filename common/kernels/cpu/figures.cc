#include "common/kernels/figures.h"

#include <cmath>

#include "common/base/check.h"
#include "common/kernels/cpu/scalar.h"

namespace kvstore {
namespace {

template <typename T>
double NumberOf(T x) {
  return static_cast<double>(x);
}
double NumberOf(F16 x) { return static_cast<double>(ToF32(x)); }
double NumberOf(BF16 x) { return static_cast<double>(ToF32(x)); }
double NumberOf(scalar::Bool x) { return x.byte != 0 ? 1 : 0; }

template <typename T>
Figures Of(const void* x, size_t elements) {
  Figures figures;
  figures.elements = elements;
  for (size_t i = 0; i < elements; ++i) {
    const double number = NumberOf(scalar::Get<T>(x, i));
    if (!std::isfinite(number)) {
      ++figures.not_finite;
      continue;
    }
    figures.squares += number * number;
    figures.absmax = std::fmax(figures.absmax, std::fabs(number));
  }
  return figures;
}

}  // namespace

Figures FiguresOf(DType dtype, const void* x, size_t elements) {
  switch (dtype) {
    case DType::kFloat32:
      return Of<float>(x, elements);
    case DType::kFloat64:
      return Of<double>(x, elements);
    case DType::kFloat16:
      return Of<F16>(x, elements);
    case DType::kBFloat16:
      return Of<BF16>(x, elements);
    case DType::kUInt8:
      return Of<uint8_t>(x, elements);
    case DType::kInt8:
      return Of<int8_t>(x, elements);
    case DType::kInt32:
      return Of<int32_t>(x, elements);
    case DType::kInt64:
      return Of<int64_t>(x, elements);
    case DType::kBool:
      return Of<scalar::Bool>(x, elements);
    case DType::kUnspecified:
      break;
  }
  CheckFailed("a dtype", __FILE__, __LINE__, "");
}

}  // namespace kvstore
