// Values by rule: against what Python and NumPy make of the formula, and in whatever pieces they
// are asked for.
#include "common/initial/initial_values.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace kvstore {
namespace {

DType DTypeNamed(const std::string& name) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16}) {
    if (DTypeName(dtype) == name) return dtype;
  }
  FAIL("no dtype: " << name);
  return DType::kUnspecified;
}

std::string Hex(const std::vector<uint8_t>& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::vector<uint8_t> Written(const InitialValues& values, DType dtype, uint64_t first,
                             size_t count) {
  std::vector<uint8_t> bytes(count * DTypeBytes(dtype));
  values.Write(first, count, bytes.data());
  return bytes;
}

}  // namespace

TEST_CASE("values by rule are those of Python and NumPy", "[initial]") {
  std::ifstream file(KVS_GOLDEN_INITIAL);
  std::string line;
  int uniform = 0, normal = 0;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string kind, a, b, dtype_name;
    InitRuleConfig rule;
    uint64_t key = 0, first = 0;
    words >> kind >> a >> b >> rule.seed >> key >> first >> dtype_name;
    rule.kind = kind == "uniform" ? InitRuleKind::kUniform : InitRuleKind::kNormal;
    rule.a = std::strtod(a.c_str(), nullptr);
    rule.b = std::strtod(b.c_str(), nullptr);
    const DType dtype = DTypeNamed(dtype_name);
    CAPTURE(kind, rule.a, rule.b, rule.seed, key, first, dtype_name);
    const InitialValues values(rule, key, dtype);
    if (rule.kind == InitRuleKind::kUniform) {
      std::string expected;
      words >> expected;
      CHECK(Hex(Written(values, dtype, first, 40)) == expected);
      ++uniform;
      continue;
    }
    const std::vector<uint8_t> bytes = Written(values, dtype, first, 300);
    for (size_t i = 0; i < 300; ++i) {
      std::string text;
      words >> text;
      const double expected = std::strtod(text.c_str(), nullptr);
      double drawn = 0;
      std::memcpy(&drawn, &bytes[i * sizeof drawn], sizeof drawn);
      // The same approximations, with two logarithms that are each good to some last bits.
      CHECK(std::abs(drawn - expected) <= 1e-13 * (std::abs(rule.a) + std::abs(expected)));
    }
    ++normal;
  }
  CHECK(uniform == 36);
  CHECK(normal == 6);
}

TEST_CASE("an element by rule does not depend on what it is asked for with", "[initial]") {
  const DType dtype = GENERATE(DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16);
  const auto kind =
      GENERATE(InitRuleKind::kConstant, InitRuleKind::kUniform, InitRuleKind::kNormal);
  const InitialValues values({kind, 0.25, 3, 9, 0}, 17, dtype);
  const std::vector<uint8_t> whole = Written(values, dtype, 1000, 1500);
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{256}, size_t{257}, size_t{1499}}) {
    std::vector<uint8_t> joined;
    for (size_t at = 0; at < 1500; at += piece) {
      const std::vector<uint8_t> some =
          Written(values, dtype, 1000 + at, std::min(piece, 1500 - at));
      joined.insert(joined.end(), some.begin(), some.end());
    }
    CHECK(joined == whole);
  }
}

TEST_CASE("another seed and another key give other numbers, zeros and constants the same",
          "[initial]") {
  const auto drawn = [](InitRuleKind kind, uint64_t seed, KeyId key) {
    return Written(InitialValues({kind, 2, 3, seed, 0}, key, DType::kFloat32), DType::kFloat32, 0,
                   100);
  };
  for (const auto kind : {InitRuleKind::kUniform, InitRuleKind::kNormal}) {
    CHECK(drawn(kind, 1, 17) != drawn(kind, 2, 17));
    CHECK(drawn(kind, 1, 17) != drawn(kind, 1, 18));
  }
  CHECK(drawn(InitRuleKind::kConstant, 1, 17) == drawn(InitRuleKind::kConstant, 2, 18));
}

TEST_CASE("a constant is each element, in every dtype", "[initial]") {
  const auto elements = [](DType dtype, double a) {
    return Hex(
        Written(InitialValues({InitRuleKind::kConstant, a, 0, 0, 0}, 1, dtype), dtype, 5, 2));
  };
  CHECK(elements(DType::kFloat32, -1.5) == "0000c0bf0000c0bf");
  CHECK(elements(DType::kFloat64, 1) == "000000000000f03f000000000000f03f");
  CHECK(elements(DType::kFloat16, 1) == "003c003c");
  CHECK(elements(DType::kBFloat16, 1) == "803f803f");
  CHECK(elements(DType::kUInt8, 255) == "ffff");
  CHECK(elements(DType::kInt8, -128) == "8080");
  CHECK(elements(DType::kInt32, -2) == "fefffffffeffffff");
  CHECK(elements(DType::kInt64, -0x1p53) == "000000000000e0ff000000000000e0ff");
  CHECK(elements(DType::kBool, 1) == "0101");
  const InitialValues zeros({InitRuleKind::kZeros, 0, 0, 0, 0}, 1, DType::kInt64);
  CHECK(Hex(Written(zeros, DType::kInt64, 0, 1)) == "0000000000000000");
}

}  // namespace kvstore
