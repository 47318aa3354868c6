// Every SIMD target gives the scalar reference's bits, at every size, alignment and remainder, and
// writes nothing beside the array; and the scalar reference is what it says of ints and bools.
#include "common/kernels/updates.h"
#include "tests/common/kernels/harness.h"
#include "tests/common/kernels/numbers.h"

#define EVERY_DTYPE float, double, F16, BF16, uint8_t, int8_t, uint32_t, uint64_t, scalar::Bool

namespace kvstore {
namespace {

using testing::AwkwardNumbers;
using testing::DTypeOf;
using testing::FirstDifference;
using testing::ForEachShape;
using testing::ForEachTarget;
using testing::kOffsets;
using testing::kSeed;
using testing::kSizes;
using testing::Placed;
using testing::RandomNumbers;

// What values of T are summed in.
template <typename T>
using Acc = decltype(scalar::Widened(T()));

template <typename T>
std::vector<Acc<T>> Widened(const std::vector<T>& values) {
  std::vector<Acc<T>> out;
  for (const T x : values) out.push_back(scalar::Widened(x));
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("accumulate has the scalar's bits on every target", "[kernels]", EVERY_DTYPE) {
  CAPTURE(kSeed);
  ForEachTarget([] {
    std::mt19937_64 random(kSeed);
    ForEachShape([&](size_t elements, size_t acc_offset, size_t x_offset) {
      CAPTURE(elements, acc_offset, x_offset);
      auto acc = RandomNumbers<Acc<TestType>>(random, elements);
      const std::vector<TestType> x = RandomNumbers<TestType>(random, elements);
      Placed<Acc<TestType>> placed_acc(acc, acc_offset);
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

TEMPLATE_TEST_CASE("widening and narrowing have the scalar's bits on every target", "[kernels]",
                   F16, BF16) {
  CAPTURE(kSeed);
  constexpr DType kDType = DTypeOf<TestType>();
  ForEachTarget([] {
    std::mt19937_64 random(kSeed);
    ForEachShape([&](size_t elements, size_t wide_offset, size_t narrow_offset) {
      CAPTURE(elements, wide_offset, narrow_offset);
      const std::vector<TestType> x = RandomNumbers<TestType>(random, elements);
      Placed<TestType> placed_x(x, narrow_offset);
      Placed<float> placed_wide(std::vector<float>(elements), wide_offset);
      Widen(kDType, placed_wide.data(), placed_x.data(), elements);
      REQUIRE(FirstDifference(placed_wide.values(), Widened(x)) == -1);
      REQUIRE(placed_wide.GuardsIntact());

      const std::vector<float> wide = RandomNumbers<float>(random, elements);
      std::vector<TestType> expected(elements);
      scalar::Narrow<TestType>(expected.data(), wide.data(), elements);
      Placed<float> placed_in(wide, wide_offset);
      Narrow(kDType, placed_x.data(), placed_in.data(), elements);
      REQUIRE(FirstDifference(placed_x.values(), expected) == -1);
      REQUIRE(placed_x.GuardsIntact());
    });
  });
}

TEMPLATE_TEST_CASE("a quotient has the scalar's bits on every target", "[kernels]", float, double) {
  CAPTURE(kSeed);
  ForEachTarget([] {
    std::mt19937_64 random(kSeed);
    for (const uint32_t divisor : {1u, 3u, 7u, 1000u}) {
      for (const size_t elements : kSizes) {
        for (const size_t offset : kOffsets) {
          CAPTURE(divisor, elements, offset);
          std::vector<TestType> sum = RandomNumbers<TestType>(random, elements);
          Placed<TestType> placed(sum, offset);
          for (TestType& x : sum) x = x / static_cast<TestType>(divisor);
          DivideBy(DTypeOf<TestType>(), divisor, placed.data(), elements);
          REQUIRE(FirstDifference(placed.values(), sum) == -1);
          REQUIRE(placed.GuardsIntact());
        }
      }
    }
  });
}

TEMPLATE_TEST_CASE("a left fold is the accumulation of the arrays in their order", "[kernels]",
                   EVERY_DTYPE) {
  CAPTURE(kSeed);
  constexpr DType kDType = DTypeOf<TestType>();
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
          std::vector<Acc<TestType>> expected = Widened(arrays[0].values());
          for (size_t k = 1; k < count; ++k) {
            const std::vector<Acc<TestType>> x = Widened(arrays[k].values());
            for (size_t i = 0; i < elements; ++i) expected[i] = scalar::Sum(expected[i], x[i]);
          }
          Placed<Acc<TestType>> dst(std::vector<Acc<TestType>>(elements), 64 - offset);
          LeftFold(kDType, dst.data(), xs.data(), count, elements);
          REQUIRE(FirstDifference(dst.values(), expected) == -1);
          REQUIRE(dst.GuardsIntact());
          Placed<Acc<TestType>> streamed(std::vector<Acc<TestType>>(elements), 64 - offset);
          LeftFold(kDType, streamed.data(), xs.data(), count, elements, Stores::kStreamed);
          REQUIRE(FirstDifference(streamed.values(), expected) == -1);
          REQUIRE(streamed.GuardsIntact());
          // Rounded, the destination may be one of the arrays, here the last.
          std::vector<TestType> rounded(elements);
          Narrow(kDType, rounded.data(), expected.data(), elements);
          RoundedFold(kDType, arrays.back().data(), xs.data(), count, elements);
          REQUIRE(FirstDifference(arrays.back().values(), rounded) == -1);
          REQUIRE(arrays.back().GuardsIntact());
        }
      }
    }
  });
}

TEST_CASE("bytes are spread to every place, and to nothing beside it", "[kernels]") {
  CAPTURE(kSeed);
  ForEachTarget([] {
    std::mt19937_64 random(kSeed);
    std::vector<size_t> sizes = kSizes;
    sizes.insert(sizes.end(), {1023, 4096, (size_t{64} << 10) + 5, size_t{200} << 10});
    for (const size_t count : {1, 2, 8, 11}) {
      for (const size_t bytes : sizes) {
        for (const size_t offset : kOffsets) {
          for (const bool alike : {false, true}) {
            CAPTURE(count, bytes, offset, alike);
            Placed<uint8_t> src(RandomNumbers<uint8_t>(random, bytes), offset);
            std::vector<Placed<uint8_t>> dsts;
            std::vector<void*> places;
            for (size_t k = 0; k < count; ++k) {
              dsts.emplace_back(std::vector<uint8_t>(bytes), alike ? offset : (offset + k) % 64);
            }
            for (auto& dst : dsts) places.push_back(dst.data());
            Spread(places.data(), count, src.data(), bytes);
            for (const auto& dst : dsts) {
              REQUIRE(dst.values() == src.values());
              REQUIRE(dst.GuardsIntact());
            }
          }
        }
      }
    }
  });
}

TEST_CASE("a rounded fold over many blocks is that of its elements", "[kernels]") {
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  constexpr size_t kElements = 3001;
  std::vector<std::vector<F16>> arrays;
  std::vector<const void*> xs;
  for (int k = 0; k < 4; ++k) arrays.push_back(RandomNumbers<F16>(random, kElements));
  for (const auto& array : arrays) xs.push_back(array.data());
  std::vector<F16> dst(kElements);
  RoundedFold(DType::kFloat16, dst.data(), xs.data(), xs.size(), kElements);
  for (size_t i = 0; i < kElements; ++i) {
    CAPTURE(i);
    float sum = ToF32(arrays[0][i]);
    for (int k = 1; k < 4; ++k) sum = sum + ToF32(arrays[static_cast<size_t>(k)][i]);
    REQUIRE(testing::SameBits(dst[i], ToF16(sum)));
  }
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
        LeftFold(DTypeOf<TestType>(), dst.data(),
                 std::vector<const void*>(count, dst.data()).data(), count, elements);  // in place
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

TEST_CASE("a sum of 16-bit floats is rounded once, at its end", "[kernels]") {
  // 1 + 2^-11 + 2^-11: half a step of f16, twice. Rounded after each addition it would stay 1.
  const F16 one = ToF16(1), half_a_step = ToF16(0x1p-11f);
  const void* xs[] = {&one, &half_a_step, &half_a_step};
  F16 sum;
  RoundedFold(DType::kFloat16, &sum, xs, 3, 1);
  CHECK(ToF32(sum) == 1 + 0x1p-10f);
  // The largest plus a step less itself: infinity on the way in f16.
  const BF16 largest = ToBF16(3.3895313892515355e38f), step = ToBF16(0x1p119f),
             minus_largest = ToBF16(-3.3895313892515355e38f);
  const void* ys[] = {&largest, &step, &minus_largest};
  BF16 rest;
  RoundedFold(DType::kBFloat16, &rest, ys, 3, 1);
  CHECK(ToF32(rest) == 0x1p119f);
}

TEMPLATE_TEST_CASE("ints wrap", "[kernels]", uint8_t, int8_t, int32_t, int64_t) {
  using Limits = std::numeric_limits<TestType>;
  ForEachTarget([] {
    std::vector<TestType> acc(67, Limits::max());
    const std::vector<TestType> x(67, TestType(2));
    Accumulate(DTypeOf<TestType>(), acc.data(), x.data(), acc.size());
    for (const TestType sum : acc) REQUIRE(sum == static_cast<TestType>(Limits::min() + 1));
  });
}

TEST_CASE("every pair of 8-bit ints sums as in a wider type", "[kernels]") {
  std::vector<int8_t> left, right, expected;
  for (int a = -128; a < 128; ++a) {
    for (int b = -128; b < 128; ++b) {
      left.push_back(static_cast<int8_t>(a));
      right.push_back(static_cast<int8_t>(b));
      expected.push_back(static_cast<int8_t>((a + b + 128 + 256) % 256 - 128));
    }
  }
  ForEachTarget([&] {
    std::vector<int8_t> acc = left;
    Accumulate(DType::kInt8, acc.data(), right.data(), acc.size());
    REQUIRE(acc == expected);
  });
}

TEST_CASE("a sum of bools is their or, and every byte but 0 is true", "[kernels]") {
  const std::vector<uint8_t> a = {0, 0, 1, 1, 0, 255, 2, 0};
  const std::vector<uint8_t> b = {0, 1, 0, 1, 128, 1, 4, 0};
  const std::vector<uint8_t> either = {0, 1, 1, 1, 1, 1, 1, 0};
  const void* xs[] = {a.data(), b.data()};
  std::vector<uint8_t> sum(a.size());
  LeftFold(DType::kBool, sum.data(), xs, 2, sum.size());
  CHECK(sum == either);
  LeftFold(DType::kBool, sum.data(), xs, 1, sum.size());
  CHECK(sum == std::vector<uint8_t>{0, 0, 1, 1, 0, 1, 1, 0});
  Widen(DType::kBool, sum.data(), b.data(), sum.size());
  CHECK(sum == std::vector<uint8_t>{0, 1, 0, 1, 1, 1, 1, 0});
  Accumulate(DType::kBool, sum.data(), a.data(), sum.size());
  CHECK(sum == either);
}

TEST_CASE("sums are made in f32 where the dtype has 16 bits, else in the dtype", "[kernels]") {
  for (int number = 1; number <= 9; ++number) {
    const auto dtype = static_cast<DType>(number);
    CAPTURE(DTypeName(dtype));
    const bool narrow = dtype == DType::kFloat16 || dtype == DType::kBFloat16;
    CHECK(AccumulatorOf(dtype) == (narrow ? DType::kFloat32 : dtype));
    CHECK(UpdatesCompute(dtype) == (dtype == DType::kFloat32 || dtype == DType::kFloat64));
  }
}

}  // namespace kvstore
