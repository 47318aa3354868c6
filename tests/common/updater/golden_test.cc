// The rules against oracles that are not ours: NumPy, operation by operation, and MXNet 1.9.1.
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

// Our values after rounds 1, 2, ….
template <typename T>
std::vector<std::vector<T>> Run(const GoldenCase& golden) {
  PartUpdater updater;
  REQUIRE(updater.Set(golden.rule, golden.parameters).ok());
  BufferPtr value = ToBuffer(FromBits<T>(golden.values.at(0)));
  std::unique_ptr<UpdaterState> state;
  std::vector<std::vector<T>> values;
  for (const auto& [round, sum] : golden.sums) {
    auto updated = updater.Update(17, golden.dtype, *value, ToBuffer(FromBits<T>(sum)), &state);
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
    const std::vector<T> expected = FromBits<T>(golden.values.at(n + 1));
    REQUIRE(FirstDifference(ours[n], expected) == -1);
  }
}

double Parameter(const GoldenCase& golden, const char* name, double default_value) {
  const auto it = golden.parameters.find(name);
  return it == golden.parameters.end() ? default_value : it->second;
}

// MXNet 1.9.1 multiplies weight decay out, w (1 - lr wd) - lr G where ours is w - lr (G + wd w):
// equal as formulas, not in their roundings. Each side makes at most 8 of them per round, each at
// most u = 2^-24 of the sum of the terms' magnitudes; what earlier rounds brought in passes through
// the formula like any weight and momentum.
void CheckWithinRoundings(const GoldenCase& golden) {
  const std::vector<std::vector<float>> ours = Run<float>(golden);
  const double lr = Parameter(golden, "learning_rate", 0.1);
  const double momentum = Parameter(golden, "momentum", 0);
  const double wd = Parameter(golden, "wd", 0);
  const double rescale = Parameter(golden, "rescale_grad", 1);
  const double unit = std::ldexp(1.0, -24);
  const std::vector<float> start = FromBits<float>(golden.values.at(0));
  for (size_t i = 0; i < start.size(); ++i) {
    double w = start[i], mom = 0, error_w = 0, error_mom = 0;
    for (size_t n = 0; n < ours.size(); ++n) {
      CAPTURE(i, n + 1);
      const double g = FromBits<float>(golden.sums.at(n + 1))[i];
      const double theirs = FromBits<float>(golden.values.at(n + 1))[i];
      const double terms =
          std::abs(w) + std::abs(momentum * mom) + lr * (std::abs(rescale * g) + wd * std::abs(w));
      error_mom = momentum * error_mom + lr * wd * error_w + 2 * 8 * unit * terms;
      error_w = error_w + error_mom;
      REQUIRE(std::abs(ours[n][i] - theirs) <= error_w);
      mom = theirs - w;
      w = theirs;
    }
  }
}

}  // namespace

TEST_CASE("every rule gives NumPy's bits", "[updater][golden]") {
  size_t cases = 0;
  for (const GoldenCase& golden : ReadGoldenFile("vectors.txt")) {
    if (golden.rule == "fold") continue;
    CAPTURE(golden.title);
    golden.dtype == DType::kFloat32 ? CheckExact<float>(golden) : CheckExact<double>(golden);
    ++cases;
  }
  CHECK(cases == 2 * 19);
}

TEST_CASE("every rule of the list has golden vectors", "[updater][golden]") {
  const std::vector<GoldenCase> golden = ReadGoldenFile("vectors.txt");
  for (const std::string& name : UpdaterNames()) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      CAPTURE(name, DTypeName(dtype));
      CHECK(std::any_of(golden.begin(), golden.end(),
                        [&](const GoldenCase& c) { return c.rule == name && c.dtype == dtype; }));
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
    if (golden.rule != "fold") continue;
    CAPTURE(golden.title, golden.xs.size());
    golden.dtype == DType::kFloat32 ? check(golden, 0.0f) : check(golden, 0.0);
  }
  CHECK(cases == 2 * 4);
}

TEST_CASE("test and sgd give MXNet's bits, with weight decay its formula", "[updater][golden]") {
  size_t exact = 0, within = 0;
  for (const GoldenCase& golden : ReadGoldenFile("mxnet_1_9_1.txt")) {
    CAPTURE(golden.title);
    if (golden.parameters.count("wd") == 0) {
      CheckExact<float>(golden);
      ++exact;
    } else {
      CheckWithinRoundings(golden);
      ++within;
    }
  }
  CHECK(exact == 10);
  CHECK(within == 3);
}

}  // namespace kvstore
