// Values of one dtype as values of another, against numbers that the tests take apart and put
// together themselves (tests/support/dtype_oracle.h).
#include "common/kernels/convert.h"

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/common/kernels/harness.h"
#include "tests/support/dtype_oracle.h"

namespace kvstore {
namespace {

using testing::Bytes;
using testing::DTypeOracle;
using testing::ForEachTarget;
using testing::kBF16;
using testing::kF16;
using testing::kSeed;
using testing::Placed;
using testing::SmallFloat;

const std::vector<DType> kAll = {DType::kFloat32,  DType::kFloat64, DType::kFloat16,
                                 DType::kBFloat16, DType::kUInt8,   DType::kInt8,
                                 DType::kInt32,    DType::kInt64,   DType::kBool};

std::string Pair(DType from, DType to) {
  return std::string(DTypeName(from)) + " to " + std::string(DTypeName(to));
}

Bytes ConvertedBytes(DType from, const Bytes& x, DType to, size_t offset = 0) {
  const size_t elements = x.size() / DTypeBytes(from);
  Placed<uint8_t> in(x, offset);
  Placed<uint8_t> out(Bytes(elements * DTypeBytes(to)), offset);
  Convert(from, in.data(), to, out.data(), elements);
  CHECK(out.GuardsIntact());
  return out.values();
}

}  // namespace

TEST_CASE("floats convert to floats, ints to what holds each of them, nothing else", "[kernels]") {
  const std::set<std::string> expected = {
      "f32 to f32",  "f32 to f64",   "f32 to f16",  "f32 to bf16",  "f64 to f32",  "f64 to f64",
      "f64 to f16",  "f64 to bf16",  "f16 to f32",  "f16 to f64",   "f16 to f16",  "f16 to bf16",
      "bf16 to f32", "bf16 to f64",  "bf16 to f16", "bf16 to bf16", "u8 to f32",   "u8 to f64",
      "u8 to f16",   "u8 to bf16",   "u8 to u8",    "u8 to i32",    "u8 to i64",   "i8 to f32",
      "i8 to f64",   "i8 to f16",    "i8 to bf16",  "i8 to i8",     "i8 to i32",   "i8 to i64",
      "i32 to f64",  "i32 to i32",   "i32 to i64",  "i64 to i64",   "bool to f32", "bool to f64",
      "bool to f16", "bool to bf16", "bool to u8",  "bool to i8",   "bool to i32", "bool to i64",
      "bool to bool"};
  std::set<std::string> found;
  for (const DType from : kAll) {
    for (const DType to : kAll) {
      if (Converts(from, to)) found.insert(Pair(from, to));
    }
  }
  CHECK(found == expected);
}

TEST_CASE("a value becomes the nearest one that the other dtype has", "[kernels]") {
  ForEachTarget([] {
    std::mt19937_64 random(kSeed);
    for (const DType from : kAll) {
      for (const DType to : kAll) {
        if (from == to || !Converts(from, to)) continue;
        const DTypeOracle in(from), out(to);
        for (const size_t elements : {size_t{0}, size_t{1}, size_t{67}, size_t{1000}}) {
          const Bytes x = in.Random(random, elements);
          INFO(Pair(from, to) << ", " << elements << " elements");
          CHECK(ConvertedBytes(from, x, to, elements % 64) == out.Nearest(in.Numbers(x)));
        }
      }
    }
  });
}

TEST_CASE("the same dtype keeps every bit", "[kernels]") {
  std::mt19937_64 random(kSeed);
  for (const DType dtype : kAll) {
    const Bytes x = DTypeOracle(dtype).Random(random, 99);
    CHECK(ConvertedBytes(dtype, x, dtype) == x);
  }
}

TEST_CASE("an f64 becomes 16 bits rounded once, not by way of an f32", "[kernels]") {
  const auto check = [](DType to, const SmallFloat& format) {
    std::vector<double> inputs = {0.0, 1e300, 1e-300, 1e39, 0x1p-1074, HUGE_VAL};
    for (uint32_t bits = 0; bits < format.infinity(); ++bits) {
      const double at = format.Meaning(bits);
      const double half_way = (at + format.Meaning(bits + 1)) / 2;
      for (const double x : {at, half_way}) {
        inputs.push_back(x);
        inputs.push_back(std::nextafter(x, 0.0));  // nearer than any f32 is
        inputs.push_back(std::nextafter(x, HUGE_VAL));
      }
    }
    Bytes x(inputs.size() * sizeof(double)), expected(inputs.size() * 2);
    for (const double sign : {1.0, -1.0}) {
      for (size_t i = 0; i < inputs.size(); ++i) {
        const double value = std::copysign(inputs[i], sign);
        const auto nearest = static_cast<uint16_t>(format.Nearest(value));
        std::memcpy(x.data() + i * sizeof(value), &value, sizeof(value));
        std::memcpy(expected.data() + i * sizeof(nearest), &nearest, sizeof(nearest));
      }
      const Bytes converted = ConvertedBytes(DType::kFloat64, x, to);
      CHECK((converted == expected));  // not worth printing
    }
  };
  check(DType::kFloat16, kF16);
  check(DType::kBFloat16, kBF16);
}

TEST_CASE("a NaN stays one in every float", "[kernels]") {
  const double nan = std::nan("");
  Bytes x(sizeof(nan));
  std::memcpy(x.data(), &nan, sizeof(nan));
  for (const DType to : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const Bytes there = ConvertedBytes(DType::kFloat64, x, to);
    const Bytes back = ConvertedBytes(to, there, DType::kFloat64);
    double value = 0;
    std::memcpy(&value, back.data(), sizeof(value));
    CHECK(std::isnan(value));
  }
}

}  // namespace kvstore
