#include "bench/kvbench/element.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "bench/kvbench/cases.h"

namespace kvstore::bench {
namespace {

TEST_CASE("every integer that a dtype holds exactly survives being stored", "[kvbench]") {
  for (const std::string& name : DataTypeNames()) {
    CAPTURE(name);
    const DataType dtype = *DataTypeFromName(name);
    std::vector<char> bytes(3 * DataTypeBytes(dtype));
    const Elements elements{bytes.data(), 3, dtype};
    const bool has_sign = dtype != DataType::kUInt8 && dtype != DataType::kBool;
    const int64_t limit = (int64_t{1} << std::min(12, ExactBits(dtype))) - 1;
    for (int64_t value = has_sign ? -limit : 0; value <= limit; ++value) {
      elements.Set(1, static_cast<double>(value));
      REQUIRE(elements.Get(1) == static_cast<double>(value));
    }
    CHECK(elements.Get(0) == 0);
    CHECK(elements.Get(2) == 0);
  }
}

TEST_CASE("half floats have the bits of IEEE 754 and of the upper half of a float", "[kvbench]") {
  uint16_t bits = 0;
  const Elements half{&bits, 1, DataType::kFloat16};
  half.Set(0, 1);
  CHECK(bits == 0x3c00);
  half.Set(0, -2047);
  CHECK(bits == 0xe7ff);
  bits = 0x3555;  // 1/3, as near as it gets: not an integer, and not taken for one
  CHECK(half.Get(0) == 1365.0 / 4096);
  bits = 0x0001;
  CHECK(half.Get(0) == 1.0 / (1 << 24));
  bits = 0x7c00;
  CHECK(half.Get(0) > 1e300);
  bits = 0x7e00;
  CHECK(half.Get(0) != half.Get(0));
  const Elements brain{&bits, 1, DataType::kBFloat16};
  brain.Set(0, -3);
  CHECK(bits == 0xc040);
}

TEST_CASE("sums of integers wrap around as two's complement does", "[kvbench]") {
  CHECK(Wrapped(DataType::kInt8, 128) == -128);
  CHECK(Wrapped(DataType::kUInt8, -1) == 255);
  CHECK(Wrapped(DataType::kInt32, int64_t{1} << 31) == -2147483648.0);
  CHECK(Wrapped(DataType::kFloat32, 300) == 300);
}

}  // namespace
}  // namespace kvstore::bench
