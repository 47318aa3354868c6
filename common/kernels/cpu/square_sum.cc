#include "common/kernels/square_sum.h"

#include "common/base/check.h"
#include "common/kernels/cpu/scalar.h"

namespace kvstore {

template <typename T>
void SquareSum::AddOf(const void* x, size_t elements) {
  const auto square = [x](size_t i) {
    const auto number = static_cast<double>(scalar::Get<T>(x, i));
    return number * number;
  };
  size_t i = 0;
  for (; next_ != 0 && i < elements; ++i) {
    lanes_[next_] += square(i);
    next_ = (next_ + 1) % kLanes;
  }
  // From here on element i goes to lane (i - begin) mod 8: eight sums that do not wait for each
  // other, which a compiler may make vectors of.
  std::array<double, kLanes> lanes = lanes_;
  for (; i + kLanes <= elements; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += square(i + lane);
  }
  lanes_ = lanes;
  for (; i < elements; ++i) lanes_[next_++] += square(i);
}

void SquareSum::Add(DType dtype, const void* x, size_t elements) {
  KVS_CHECK(dtype == DType::kFloat32 || dtype == DType::kFloat64);
  dtype == DType::kFloat32 ? AddOf<float>(x, elements) : AddOf<double>(x, elements);
}

double SquareSum::Total() const {
  return ((lanes_[0] + lanes_[1]) + (lanes_[2] + lanes_[3])) +
         ((lanes_[4] + lanes_[5]) + (lanes_[6] + lanes_[7]));
}

}  // namespace kvstore
