// Conversions of the 16-bit floats, all of them: against the numbers that their bits stand for, and
// against NumPy's f16 by digest.
#include <cmath>
#include <fstream>
#include <string>

#include "tests/common/kernels/harness.h"
#include "tests/common/kernels/numbers.h"
#include "tests/support/dtype_oracle.h"

namespace kvstore {
namespace {

using testing::DTypeOf;
using testing::ForEachTarget;
using testing::kBF16;
using testing::kF16;
using testing::SmallFloat;

template <typename T>
const SmallFloat& kFormat = std::is_same_v<T, F16> ? kF16 : kBF16;

// The bits of every 16-bit number, the midpoints between neighbours, and the f32s beside all these.
template <typename T>
std::vector<float> NarrowInputs() {
  std::vector<float> inputs;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7fff) >= kFormat<T>.infinity()) continue;
    const auto at = static_cast<float>(kFormat<T>.Meaning(bits));
    const auto between =
        static_cast<float>((kFormat<T>.Meaning(bits) + kFormat<T>.Meaning(bits + 1)) / 2);
    for (const float x : {at, between}) {
      for (const uint32_t beside : {BitsOf(x) - 1, BitsOf(x), BitsOf(x) + 1}) {
        inputs.push_back(FloatOf(beside));  // beside 0: a NaN, and the least denormal
      }
    }
  }
  for (const float x : {0x1p-149f, 0x1p-126f, 65504.0f, 65519.99f, 65520.0f, 65536.0f, 3.4e38f,
                        std::numeric_limits<float>::max(), HUGE_VALF}) {
    inputs.push_back(x);
    inputs.push_back(-x);
  }
  for (const uint32_t nan : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu}) {
    inputs.push_back(FloatOf(nan));
  }
  return inputs;
}

template <typename T>
std::vector<T> NarrowedAll(const std::vector<float>& inputs) {
  std::vector<T> out(inputs.size());
  Narrow(DTypeOf<T>(), out.data(), inputs.data(), inputs.size());
  return out;
}

template <typename T>
std::vector<float> WidenedAll() {
  std::vector<T> all(0x10000);
  for (uint32_t bits = 0; bits < all.size(); ++bits) all[bits].bits = static_cast<uint16_t>(bits);
  std::vector<float> out(all.size());
  Widen(DTypeOf<T>(), out.data(), all.data(), all.size());
  return out;
}

// FNV-1a over little-endian words. Source: draft-eastlake-fnv.
class Digest {
 public:
  void Add(uint32_t word) {
    for (int byte = 0; byte < 4; ++byte) {
      hash_ = (hash_ ^ (word >> (8 * byte) & 0xff)) * 0x100000001b3u;
    }
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

uint64_t GoldenDigest(const std::string& name) {
  std::ifstream in(KVS_GOLDEN_CONVERSIONS);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(name + " ", 0) == 0)
      return std::stoull(line.substr(name.size() + 1), nullptr, 16);
  }
  throw std::runtime_error(std::string(KVS_GOLDEN_CONVERSIONS) + ": no digest of " + name);
}

}  // namespace

TEMPLATE_TEST_CASE("every 16-bit float widens to the number that it is", "[kernels]", F16, BF16) {
  ForEachTarget([] {
    const std::vector<float> wide = WidenedAll<TestType>();
    for (uint32_t bits = 0; bits < wide.size(); ++bits) {
      const bool infinite = (bits & 0x7fff) == kFormat<TestType>.infinity();
      const double magnitude = infinite ? HUGE_VAL : std::abs(kFormat<TestType>.Meaning(bits));
      const bool right = kFormat<TestType>.IsNaN(bits)
                             ? std::isnan(wide[bits])
                             : std::abs(wide[bits]) == magnitude &&
                                   std::signbit(wide[bits]) == ((bits & 0x8000) != 0);
      if (!right) FAIL("bits " << bits << " became " << wide[bits]);
    }
  });
}

TEMPLATE_TEST_CASE("narrowing gives the nearest, of two the even one", "[kernels]", F16, BF16) {
  const std::vector<float> inputs = NarrowInputs<TestType>();
  ForEachTarget([&] {
    const std::vector<TestType> narrow = NarrowedAll<TestType>(inputs);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool right = std::isnan(inputs[i])
                             ? kFormat<TestType>.IsNaN(narrow[i].bits)
                             : narrow[i].bits == kFormat<TestType>.Nearest(inputs[i]);
      if (!right) FAIL("bits " << BitsOf(inputs[i]) << " became " << narrow[i].bits);
    }
  });
}

TEMPLATE_TEST_CASE("a 16-bit float comes back from f32", "[kernels]", F16, BF16) {
  const std::vector<TestType> back = NarrowedAll<TestType>(WidenedAll<TestType>());
  for (uint32_t bits = 0; bits < back.size(); ++bits) {
    const bool right = kFormat<TestType>.IsNaN(bits) ? kFormat<TestType>.IsNaN(back[bits].bits)
                                                     : back[bits].bits == bits;
    if (!right) FAIL("bits " << bits << " became " << back[bits].bits);
  }
}

TEST_CASE("conversions of f16 are NumPy's", "[kernels][golden]") {
  // tests/golden/conversions/make_digests.py goes through the same inputs in the same order.
  Digest widened, narrowed;
  for (const float x : WidenedAll<F16>()) {
    if (!std::isnan(x)) widened.Add(BitsOf(x));
  }
  const std::vector<float> inputs = NarrowInputs<F16>();
  const std::vector<F16> narrow = NarrowedAll<F16>(inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!std::isnan(inputs[i])) narrowed.Add(narrow[i].bits);
  }
  CHECK(widened.value() == GoldenDigest("widen f16"));
  CHECK(narrowed.value() == GoldenDigest("narrow f16"));
}

}  // namespace kvstore
