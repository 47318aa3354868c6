// The updaters against oracles that are not ours: NumPy, operation by operation; their formulas in
// f64; MXNet 1.9.1.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "common/kernels/kernels.h"
#include "common/updater/part_updater.h"
#include "tests/common/kernels/numbers.h"
#include "tests/common/updater/golden_file.h"

namespace kvstore {
namespace {

using testing::FirstDifference;
using testing::FromBits;
using testing::GoldenCase;
using testing::ReadGoldenFile;

template <typename T>
MutableBufferPtr ToBuffer(const std::vector<T>& values) {
  auto buffer = std::make_shared<Buffer>(values.size() * sizeof(T));
  std::memcpy(buffer->data(), values.data(), buffer->size());
  return buffer;
}

template <typename T>
std::vector<T> ToVector(const Buffer& buffer) {
  std::vector<T> out(buffer.size() / sizeof(T));
  std::memcpy(out.data(), buffer.data(), buffer.size());
  return out;
}

constexpr KeyId kKey = 17;

double ToDouble(double x) { return x; }
double ToDouble(F16 x) { return ToF32(x); }
double ToDouble(BF16 x) { return ToF32(x); }

// What values of T are summed in.
template <typename T>
using Sum = std::conditional_t<sizeof(T) == 2, float, T>;

// Our values after rounds 1, 2, ….
template <typename T>
std::vector<std::vector<T>> Run(const GoldenCase& golden) {
  PartUpdater updater;
  REQUIRE(
      updater
          .Set({golden.optimizer, golden.parameters, {{kKey, golden.multipliers}}, golden.schedule})
          .ok());
  BufferPtr value = ToBuffer(FromBits<T>(golden.values.at(0)));
  std::unique_ptr<UpdaterState> state;
  std::vector<std::vector<T>> values;
  for (const auto& [round, sum] : golden.sums) {
    const MutableBufferPtr summed = ToBuffer(FromBits<Sum<T>>(sum));
    NormSums norms;
    for (size_t step = 0; step < updater.Measurings(""); ++step) {
      const auto measured =
          updater.Measure(step, kKey, golden.dtype, *value, *summed, state.get(), {}, norms);
      REQUIRE(measured.ok());
      norms += *measured;
    }
    auto updated = updater.Update(kKey, golden.dtype, *value, summed, &state, 0, {}, norms);
    REQUIRE(updated.ok());
    value = *updated;
    values.push_back(ToVector<T>(*value));
  }
  return values;
}

template <typename T>
void CheckExact(const GoldenCase& golden) {
  const std::vector<std::vector<T>> ours = Run<T>(golden);
  REQUIRE(!ours.empty());
  for (size_t n = 0; n < ours.size(); ++n) {
    CAPTURE(n + 1);
    std::vector<T> expected = FromBits<T>(golden.values.at(n + 1));
    if (golden.optimizer == "ftrl" && golden.parameters.count("mxnet1") > 0) {
      // MXNet multiplies a weight by 0 where ours is 0: it may be -0.
      for (size_t i = 0; i < expected.size(); ++i) {
        if (ToDouble(expected[i]) == 0 && ToDouble(ours[n][i]) == 0) expected[i] = ours[n][i];
      }
    }
    REQUIRE(FirstDifference(ours[n], expected) == -1);
  }
}

void CheckWithinBounds(const GoldenCase& golden, size_t rounds) {
  const std::vector<std::vector<float>> ours = Run<float>(golden);
  REQUIRE(ours.size() == rounds);
  for (size_t n = 0; n < ours.size(); ++n) {
    const std::vector<double>& exact = golden.exact.at(n + 1);
    const std::vector<double>& bounds = golden.bounds.at(n + 1);
    REQUIRE(exact.size() == ours[n].size());
    for (size_t i = 0; i < exact.size(); ++i) {
      CAPTURE(n + 1, i, ours[n][i], exact[i]);
      REQUIRE(std::abs(ours[n][i] - exact[i]) <= bounds.at(i));
    }
  }
}

}  // namespace

TEST_CASE("every updater gives NumPy's bits", "[updater][golden]") {
  size_t cases = 0;
  for (const GoldenCase& golden : ReadGoldenFile("vectors.txt")) {
    if (golden.optimizer == "fold") continue;
    CAPTURE(golden.title);
    switch (golden.dtype) {
      case DType::kFloat32:
        CheckExact<float>(golden);
        break;
      case DType::kFloat64:
        CheckExact<double>(golden);
        break;
      case DType::kFloat16:
        CheckExact<F16>(golden);
        break;
      case DType::kBFloat16:
        CheckExact<BF16>(golden);
        break;
      default:
        FAIL("a float expected");
    }
    ++cases;
  }
  CHECK(cases == 533);
}

TEST_CASE("every updater is within its roundings of its formula", "[updater][golden]") {
  size_t cases = 0;
  for (const GoldenCase& golden : ReadGoldenFile("formulas.txt")) {
    CAPTURE(golden.title);
    CheckWithinBounds(golden, 8);
    ++cases;
  }
  CHECK(cases == 35);
}

TEST_CASE("updaters that PyTorch has, too, are within their roundings of PyTorch's over 60 rounds",
          "[updater][golden]") {
  size_t cases = 0;
  for (const GoldenCase& golden : ReadGoldenFile("pytorch.txt")) {
    CAPTURE(golden.title);
    CheckWithinBounds(golden, 60);
    ++cases;
  }
  CHECK(cases == 11);
}

TEST_CASE("updaters that need norms are within the roundings of MXNet 1.9.1's and their own",
          "[updater][golden]") {
  size_t cases = 0;
  for (const GoldenCase& golden : ReadGoldenFile("mxnet_1_9_1_norms.txt")) {
    CAPTURE(golden.title);
    CheckWithinBounds(golden, golden.multipliers.lr_mult == 1 ? 3 : 60);
    ++cases;
  }
  CHECK(cases == 12);
}

TEST_CASE("every updater of the list has golden vectors", "[updater][golden]") {
  const std::vector<GoldenCase> golden = ReadGoldenFile("vectors.txt");
  for (const std::string& name : UpdaterNames()) {
    if ((*MakeUpdater(name, {}))->keeps_one_per_row()) continue;  // it has golden rows
    for (const DType dtype :
         {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16}) {
      CAPTURE(name, DTypeName(dtype));
      CHECK(std::any_of(golden.begin(), golden.end(), [&](const GoldenCase& c) {
        return c.optimizer == name && c.dtype == dtype;
      }));
    }
  }
}

TEST_CASE("a left fold gives NumPy's bits", "[kernels][golden]") {
  size_t cases = 0;
  const auto check = [&](const GoldenCase& golden, auto zero) {
    using T = decltype(zero);
    std::vector<std::vector<T>> arrays;
    std::vector<const void*> xs;
    for (const auto& bits : golden.xs) arrays.push_back(FromBits<T>(bits));
    for (const auto& array : arrays) xs.push_back(array.data());
    std::vector<T> dst(arrays.at(0).size());
    LeftFold(golden.dtype, dst.data(), xs.data(), xs.size(), dst.size());
    REQUIRE(FirstDifference(dst, FromBits<T>(golden.fold)) == -1);
    ++cases;
  };
  for (const GoldenCase& golden : ReadGoldenFile("vectors.txt")) {
    if (golden.optimizer != "fold") continue;
    CAPTURE(golden.title, golden.xs.size());
    golden.dtype == DType::kFloat32 ? check(golden, 0.0f) : check(golden, 0.0);
  }
  CHECK(cases == 2 * 4);
}

TEST_CASE("every updater gives MXNet 1.9.1's bits in its dialect", "[updater][golden]") {
  size_t cases = 0;
  for (const GoldenCase& golden : ReadGoldenFile("mxnet_1_9_1.txt")) {
    CAPTURE(golden.title);
    golden.dtype == DType::kFloat32 ? CheckExact<float>(golden) : CheckExact<F16>(golden);
    ++cases;
  }
  CHECK(cases == 89);
}

TEST_CASE("updaters with schedules give MXNet 1.9.1's bits, from any update on",
          "[updater][schedule][golden]") {
  size_t cases = 0;
  for (const GoldenCase& golden : ReadGoldenFile("mxnet_1_9_1_schedules.txt")) {
    CAPTURE(golden.title);
    CheckExact<float>(golden);
    ++cases;
  }
  CHECK(cases == 10);
}

}  // namespace kvstore
