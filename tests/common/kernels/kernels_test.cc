// Every SIMD target gives the scalar reference's bits, at every size, alignment and remainder, and
// writes nothing beside the array.
#include "common/kernels/kernels.h"

#include <hwy/targets.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "common/kernels/cpu/scalar.h"
#include "tests/common/kernels/numbers.h"

namespace kvstore {
namespace {

using testing::AwkwardNumbers;
using testing::DTypeOf;
using testing::FirstDifference;
using testing::RandomNumbers;

constexpr uint64_t kSeed = 20240301;
constexpr uint8_t kGuard = 0xA5;

// Runs `body` once for each instruction set that this machine has and the kernels were built for.
void ForEachTarget(const std::function<void()>& body) {
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  REQUIRE(!targets.empty());
  for (const int64_t target : targets) {
    CAPTURE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
}

// An array that starts `offset` bytes after a 64-byte boundary, with guards around it.
template <typename T>
class Placed {
 public:
  Placed(const std::vector<T>& values, size_t offset)
      : elements_(values.size()), bytes_(2 * 64 + offset + values.size() * sizeof(T) + 64, kGuard) {
    const size_t misalignment = reinterpret_cast<uintptr_t>(bytes_.data()) % 64;
    begin_ = 64 + (64 - misalignment) % 64 + offset;
    if (elements_ > 0) std::memcpy(data(), values.data(), elements_ * sizeof(T));
  }
  void* data() { return bytes_.data() + begin_; }
  std::vector<T> values() const {
    std::vector<T> out(elements_);
    if (elements_ > 0) std::memcpy(out.data(), bytes_.data() + begin_, elements_ * sizeof(T));
    return out;
  }
  bool GuardsIntact() const {
    const auto guard = [](uint8_t byte) { return byte == kGuard; };
    const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(begin_);
    const auto end = begin + static_cast<std::ptrdiff_t>(elements_ * sizeof(T));
    return std::all_of(bytes_.begin(), begin, guard) && std::all_of(end, bytes_.end(), guard);
  }

 private:
  size_t elements_;
  std::vector<uint8_t> bytes_;
  size_t begin_;
};

const std::vector<size_t> kSizes = {0,  1,  2,  3,  4,  5,  7,  8,  9,  15,  16,
                                    17, 31, 32, 33, 61, 63, 64, 65, 67, 127, 257};
const std::vector<size_t> kOffsets = {0, 1, 4, 63};
constexpr size_t kLarge = 30011;

// Calls `check(elements, offset of the first array, offset of the second)` for all of them.
void ForEachShape(const std::function<void(size_t, size_t, size_t)>& check) {
  for (const size_t elements : kSizes) {
    for (const size_t a : kOffsets) {
      for (const size_t b : kOffsets) check(elements, a, b);
    }
  }
  check(kLarge, 0, 0);
  check(kLarge, 1, 0);
}

// Numbers for sgd that make every operation round.
std::vector<SgdNumbers> SgdVariants() {
  std::vector<SgdNumbers> variants(4);
  variants[0] = SgdNumbers{};
  variants[0].momentum = 0.9;
  for (size_t i = 1; i < 4; ++i) {
    variants[i].learning_rate = 0.3;
    variants[i].rescale_grad = 0.7;
    variants[i].wd = i == 1 ? 0.0 : 0.01;
    variants[i].momentum = 0.85;
  }
  variants[3].clip = true;
  variants[3].clip_gradient = 0.4;
  return variants;
}

}  // namespace

TEMPLATE_TEST_CASE("accumulate has the scalar's bits on every target", "[kernels]", float, double) {
  CAPTURE(kSeed);
  ForEachTarget([] {
    std::mt19937_64 random(kSeed);
    ForEachShape([&](size_t elements, size_t acc_offset, size_t x_offset) {
      CAPTURE(elements, acc_offset, x_offset);
      std::vector<TestType> acc = RandomNumbers<TestType>(random, elements);
      const std::vector<TestType> x = RandomNumbers<TestType>(random, elements);
      Placed<TestType> placed_acc(acc, acc_offset);
      Placed<TestType> placed_x(x, x_offset);
      scalar::Accumulate<TestType>(acc.data(), x.data(), elements);
      Accumulate(DTypeOf<TestType>(), placed_acc.data(), placed_x.data(), elements);
      REQUIRE(FirstDifference(placed_acc.values(), acc) == -1);
      const bool beside_untouched = FirstDifference(placed_x.values(), x) == -1 &&
                                    placed_acc.GuardsIntact() && placed_x.GuardsIntact();
      REQUIRE(beside_untouched);
    });
  });
}

TEMPLATE_TEST_CASE("a left fold is the accumulation of the arrays in their order", "[kernels]",
                   float, double) {
  CAPTURE(kSeed);
  ForEachTarget([] {
    std::mt19937_64 random(kSeed);
    for (const size_t count : {1, 2, 3, 5, 8}) {
      for (const size_t elements : kSizes) {
        for (const size_t offset : kOffsets) {
          CAPTURE(count, elements, offset);
          std::vector<Placed<TestType>> arrays;
          std::vector<const void*> xs;
          for (size_t k = 0; k < count; ++k) {
            arrays.emplace_back(RandomNumbers<TestType>(random, elements), (offset + k) % 64);
          }
          for (auto& array : arrays) xs.push_back(array.data());
          std::vector<TestType> expected = arrays[0].values();
          for (size_t k = 1; k < count; ++k) {
            const std::vector<TestType> x = arrays[k].values();
            for (size_t i = 0; i < elements; ++i) expected[i] = expected[i] + x[i];
          }
          Placed<TestType> dst(std::vector<TestType>(elements), 64 - offset);
          LeftFold(DTypeOf<TestType>(), dst.data(), xs.data(), count, elements);
          REQUIRE(FirstDifference(dst.values(), expected) == -1);
          REQUIRE(dst.GuardsIntact());
          // The destination may be one of the arrays, here the last.
          LeftFold(DTypeOf<TestType>(), arrays.back().data(), xs.data(), count, elements);
          REQUIRE(FirstDifference(arrays.back().values(), expected) == -1);
          REQUIRE(arrays.back().GuardsIntact());
        }
      }
    }
  });
}

TEMPLATE_TEST_CASE("a left fold starts from the first value", "[kernels]", float, double) {
  ForEachTarget([] {
    for (const size_t elements : {1, 7, 64}) {
      const std::vector<TestType> minus_zeros(elements, TestType(-0.0));
      for (const size_t count : {1, 2, 3}) {
        CAPTURE(elements, count);
        const std::vector<const void*> xs(count, minus_zeros.data());
        std::vector<TestType> dst(elements, TestType(1));
        LeftFold(DTypeOf<TestType>(), dst.data(), xs.data(), count, elements);
        REQUIRE(FirstDifference(dst, minus_zeros) == -1);
      }
    }
  });
}

TEMPLATE_TEST_CASE("every pair of awkward numbers is added as IEEE says", "[kernels]", float,
                   double) {
  const std::vector<TestType> awkward = AwkwardNumbers<TestType>();
  std::vector<TestType> left, right, expected;
  for (const TestType a : awkward) {
    for (const TestType b : awkward) {
      left.push_back(a);
      right.push_back(b);
      expected.push_back(a + b);
    }
  }
  ForEachTarget([&] {
    std::vector<TestType> acc = left;
    Accumulate(DTypeOf<TestType>(), acc.data(), right.data(), acc.size());
    REQUIRE(FirstDifference(acc, expected) == -1);
  });
}

TEMPLATE_TEST_CASE("add-scaled has the scalar's bits on every target", "[kernels]", float, double) {
  CAPTURE(kSeed);
  ForEachTarget([] {
    std::mt19937_64 random(kSeed);
    ForEachShape([&](size_t elements, size_t weight_offset, size_t grad_offset) {
      CAPTURE(elements, weight_offset, grad_offset);
      const std::vector<TestType> weight = RandomNumbers<TestType>(random, elements);
      std::vector<TestType> grad = RandomNumbers<TestType>(random, elements);
      Placed<TestType> placed_weight(weight, weight_offset);
      Placed<TestType> placed_grad(grad, grad_offset);
      scalar::AddScaled<TestType>(TestType(0.3), weight.data(), grad.data(), elements);
      AddScaled(DTypeOf<TestType>(), 0.3, placed_weight.data(), placed_grad.data(), elements);
      REQUIRE(FirstDifference(placed_grad.values(), grad) == -1);
      const bool beside_untouched = FirstDifference(placed_weight.values(), weight) == -1 &&
                                    placed_grad.GuardsIntact() && placed_weight.GuardsIntact();
      REQUIRE(beside_untouched);
    });
  });
}

TEMPLATE_TEST_CASE("sgd has the scalar's bits on every target", "[kernels]", float, double) {
  CAPTURE(kSeed);
  ForEachTarget([] {
    for (const SgdNumbers& numbers : SgdVariants()) {
      CAPTURE(numbers.learning_rate, numbers.rescale_grad, numbers.wd, numbers.clip);
      const scalar::SgdConstants<TestType> constants(numbers);
      std::mt19937_64 random(kSeed);
      ForEachShape([&](size_t elements, size_t weight_offset, size_t grad_offset) {
        CAPTURE(elements, weight_offset, grad_offset);
        const std::vector<TestType> weight = RandomNumbers<TestType>(random, elements);
        std::vector<TestType> grad = RandomNumbers<TestType>(random, elements);
        Placed<TestType> placed_weight(weight, weight_offset);
        Placed<TestType> placed_grad(grad, grad_offset);
        scalar::Sgd<TestType>(constants, weight.data(), grad.data(), elements);
        Sgd(DTypeOf<TestType>(), numbers, placed_weight.data(), placed_grad.data(), elements);
        REQUIRE(FirstDifference(placed_grad.values(), grad) == -1);
        const bool beside_untouched = FirstDifference(placed_weight.values(), weight) == -1 &&
                                      placed_grad.GuardsIntact() && placed_weight.GuardsIntact();
        REQUIRE(beside_untouched);
      });
    }
  });
}

TEMPLATE_TEST_CASE("sgd with momentum has the scalar's bits on every target", "[kernels]", float,
                   double) {
  CAPTURE(kSeed);
  ForEachTarget([] {
    for (const SgdNumbers& numbers : SgdVariants()) {
      CAPTURE(numbers.learning_rate, numbers.rescale_grad, numbers.wd, numbers.clip);
      const scalar::SgdConstants<TestType> constants(numbers);
      std::mt19937_64 random(kSeed);
      ForEachShape([&](size_t elements, size_t weight_offset, size_t grad_offset) {
        CAPTURE(elements, weight_offset, grad_offset);
        const std::vector<TestType> weight = RandomNumbers<TestType>(random, elements);
        std::vector<TestType> mom = RandomNumbers<TestType>(random, elements);
        std::vector<TestType> grad = RandomNumbers<TestType>(random, elements);
        Placed<TestType> placed_weight(weight, weight_offset);
        Placed<TestType> placed_mom(mom, (weight_offset + 5) % 64);
        Placed<TestType> placed_grad(grad, grad_offset);
        scalar::SgdMomentum<TestType>(constants, weight.data(), mom.data(), grad.data(), elements);
        SgdMomentum(DTypeOf<TestType>(), numbers, placed_weight.data(), placed_mom.data(),
                    placed_grad.data(), elements);
        REQUIRE(FirstDifference(placed_grad.values(), grad) == -1);
        REQUIRE(FirstDifference(placed_mom.values(), mom) == -1);
        const bool beside_untouched = FirstDifference(placed_weight.values(), weight) == -1 &&
                                      placed_grad.GuardsIntact() && placed_mom.GuardsIntact();
        REQUIRE(beside_untouched);
      });
    }
  });
}

TEST_CASE("a clipped NaN stays a NaN on every target", "[kernels]") {
  SgdNumbers numbers;
  numbers.clip = true;
  numbers.clip_gradient = 1;
  ForEachTarget([&] {
    const std::vector<float> weight(19, 1.0f);
    std::vector<float> grad(19, std::numeric_limits<float>::quiet_NaN());
    Sgd(DType::kFloat32, numbers, weight.data(), grad.data(), grad.size());
    for (const float w : grad) REQUIRE(std::isnan(w));
  });
}

TEST_CASE("how an array is cut does not change a bit", "[kernels]") {
  // Parts, frames and slices cut arrays anywhere; each element must come out the same in a vector
  // and in the remainder.
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  constexpr size_t kElements = 1009;
  SgdNumbers numbers;
  numbers.learning_rate = 0.3;
  numbers.wd = 0.01;
  numbers.momentum = 0.85;
  const std::vector<float> weight = RandomNumbers<float>(random, kElements);
  const std::vector<float> mom = RandomNumbers<float>(random, kElements);
  const std::vector<float> grad = RandomNumbers<float>(random, kElements);
  std::vector<float> whole_mom = mom, whole = grad;
  SgdMomentum(DType::kFloat32, numbers, weight.data(), whole_mom.data(), whole.data(), kElements);
  for (int trial = 0; trial < 50; ++trial) {
    CAPTURE(trial);
    std::vector<float> cut_mom = mom, cut = grad;
    for (size_t at = 0; at < kElements;) {
      const size_t n = std::min<size_t>(1 + random() % 80, kElements - at);
      SgdMomentum(DType::kFloat32, numbers, weight.data() + at, cut_mom.data() + at,
                  cut.data() + at, n);
      at += n;
    }
    REQUIRE(FirstDifference(cut, whole) == -1);
    REQUIRE(FirstDifference(cut_mom, whole_mom) == -1);
  }
}

TEST_CASE("the kernels name the dtypes that they have", "[kernels]") {
  for (int number = 0; number <= 9; ++number) {
    const auto dtype = static_cast<DType>(number);
    CHECK(KernelsSupport(dtype) == (dtype == DType::kFloat32 || dtype == DType::kFloat64));
  }
}

}  // namespace kvstore
