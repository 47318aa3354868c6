// Numbers that are not finite: found at every place of an array, by every instruction set.
#include "common/kernels/finite.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "common/kernels/kernels.h"
#include "tests/common/kernels/harness.h"

namespace kvstore {
namespace {

using testing::ForEachShape;
using testing::ForEachTarget;
using testing::Placed;

// For each dtype of floats, as bits: what is not finite, and what is although it comes close.
template <typename Bits>
struct Samples {
  DType dtype;
  std::vector<Bits> not_finite;
  std::vector<Bits> finite;
};
const Samples<uint32_t> kF32 = {DType::kFloat32,
                                {0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff},
                                {0x7f7fffff, 0xff7fffff, 0, 0x80000000, 1, 0x3f800000}};
const Samples<uint16_t> kF16 = {DType::kFloat16,
                                {0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff},
                                {0x7bff, 0xfbff, 0, 0x8000, 1, 0x3c00}};
const Samples<uint16_t> kBF16 = {DType::kBFloat16,
                                 {0x7f80, 0xff80, 0x7fc0, 0x7f81, 0xffff},
                                 {0x7f7f, 0xff7f, 0, 0x8000, 1, 0x3f80}};
const Samples<uint64_t> kF64 = {
    DType::kFloat64,
    {0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, UINT64_MAX},
    {0x7fefffffffffffff, 0xffefffffffffffff, 0, 0x8000000000000000, 1, 0x3ff0000000000000}};

template <typename Bits>
void CheckAll(const Samples<Bits>& samples) {
  CAPTURE(DTypeName(samples.dtype));
  ForEachTarget([&] {
    ForEachShape([&](size_t elements, size_t offset, size_t) {
      CAPTURE(elements, offset);
      std::vector<Bits> values(elements);
      for (size_t i = 0; i < elements; ++i) values[i] = samples.finite[i % samples.finite.size()];
      Placed<Bits> finite(values, offset);
      CHECK(FirstNotFinite(samples.dtype, finite.data(), elements) == elements);
      CHECK(ZeroNotFinite(samples.dtype, finite.data(), elements) == 0);
      CHECK(finite.values() == values);
      // One at each place of short arrays, at some of long ones, and a second one behind it.
      const size_t step = elements > 300 ? 997 : 1;
      for (size_t at = 0; at < elements; at += step) {
        std::vector<Bits> with = values;
        with[at] = samples.not_finite[at % samples.not_finite.size()];
        with[elements - 1] = samples.not_finite[0];
        Placed<Bits> placed(with, offset);
        if (FirstNotFinite(samples.dtype, placed.data(), elements) != at) {
          CAPTURE(at);
          CHECK(FirstNotFinite(samples.dtype, placed.data(), elements) == at);
        }
        const size_t zeroed = ZeroNotFinite(samples.dtype, placed.data(), elements);
        std::vector<Bits> expected = values;
        expected[at] = 0;
        expected[elements - 1] = 0;
        if (zeroed != (at + 1 == elements ? 1U : 2U) || placed.values() != expected ||
            !placed.GuardsIntact()) {
          CAPTURE(at, zeroed);
          CHECK(placed.values() == expected);
          FAIL("zeroed otherwise");
        }
      }
    });
  });
}

}  // namespace

TEST_CASE("a number that is not finite is found wherever it is, and becomes 0", "[kernels]") {
  CheckAll(kF32);
  CheckAll(kF16);
  CheckAll(kBF16);
  CheckAll(kF64);
}

TEST_CASE("every number of f16 and bf16 is finite exactly if its value is", "[kernels]") {
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    CAPTURE(DTypeName(dtype));
    size_t differ = 0;
    for (uint32_t bits = 0; bits <= UINT16_MAX; ++bits) {
      const auto half = static_cast<uint16_t>(bits);
      float value = 0;
      Widen(dtype, &value, &half, 1);
      differ += (FirstNotFinite(dtype, &half, 1) == 1) != std::isfinite(value) ? 1 : 0;
    }
    CHECK(differ == 0);
  }
}

TEST_CASE("ints and bools are always finite", "[kernels]") {
  const std::vector<uint8_t> ones(64, 0xff);
  for (const DType dtype :
       {DType::kUInt8, DType::kInt8, DType::kInt32, DType::kInt64, DType::kBool}) {
    CHECK_FALSE(MayBeNotFinite(dtype));
    CHECK(FirstNotFinite(dtype, ones.data(), 64 / DTypeBytes(dtype)) == 64 / DTypeBytes(dtype));
  }
}

}  // namespace kvstore
