// The sums on a GPU have the scalar reference's bits, for every dtype and number of sources, at
// every remainder and misalignment; they read nothing beyond their sources and write nothing beside
// `to`.
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "common/kernels/cuda/sums.cuh"
#include "common/kernels/kernels.h"
#include "tests/common/kernels/cuda/on_device.h"
#include "tests/common/kernels/numbers.h"

#define EVERY_DTYPE float, double, F16, BF16, uint8_t, int8_t, uint32_t, uint64_t, scalar::Bool

namespace kvstore {
namespace {

using testing::DTypeOf;
using testing::FirstDifference;
using testing::kGuard;
using testing::OnDevice;
using testing::RandomNumbers;

const std::vector<size_t> kLengths = {1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 127, 2049};

template <typename T>
using Acc = decltype(scalar::Widened(T()));

const cuda::Place kPlace{nullptr, 2};

}  // namespace

TEMPLATE_TEST_CASE("a sum on a GPU has the scalar's bits", "[cuda]", EVERY_DTYPE) {
  cuda_sim::ForgetErrors();
  std::mt19937_64 random(1);
  for (const size_t count : {1, 2, 3, 4, 5, 6, 7, 8, 9, 19}) {
    for (const size_t elements : kLengths) {
      for (const size_t offset : {0, 1, 3}) {
        for (const bool alike : {true, false}) {
          CAPTURE(count, elements, offset, alike);
          std::vector<std::vector<TestType>> values;
          std::vector<OnDevice<TestType>> arrays;
          std::vector<const void*> host, sources;
          for (size_t k = 0; k < count; ++k) {
            values.push_back(RandomNumbers<TestType>(random, elements));
            arrays.emplace_back(values.back(), alike ? offset : offset + k);
            sources.push_back(arrays.back().data());
          }
          for (const auto& each : values) host.push_back(each.data());
          std::vector<Acc<TestType>> expected(elements);
          scalar::LeftFold<TestType>(expected.data(), host.data(), count, 0, elements);
          const OnDevice<Acc<TestType>> to(std::vector<Acc<TestType>>(elements), offset, kGuard);
          REQUIRE(cuda::LeftFold(DTypeOf<TestType>(), sources.data(), count, elements,
                                 /*rounded=*/false, to.data(), kPlace) == cudaSuccess);
          REQUIRE(FirstDifference(to.Read(), expected) == -1);
          REQUIRE(to.GuardsIntact());

          std::vector<TestType> rounded_expected(elements);
          Narrow(DTypeOf<TestType>(), rounded_expected.data(), expected.data(), elements);
          const OnDevice<TestType> rounded(std::vector<TestType>(elements), offset, kGuard);
          if (sizeof(TestType) == 2 && count > cuda::kSourcesMax) {
            REQUIRE(cuda::LeftFold(DTypeOf<TestType>(), sources.data(), count, elements,
                                   /*rounded=*/true, rounded.data(),
                                   kPlace) == cudaErrorInvalidValue);
            REQUIRE(cuda::Narrow(DTypeOf<TestType>(), to.data(), elements, rounded.data(),
                                 kPlace) == cudaSuccess);
          } else {
            REQUIRE(cuda::LeftFold(DTypeOf<TestType>(), sources.data(), count, elements,
                                   /*rounded=*/true, rounded.data(), kPlace) == cudaSuccess);
          }
          REQUIRE(FirstDifference(rounded.Read(), rounded_expected) == -1);
          REQUIRE(rounded.GuardsIntact());
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("a sum on a GPU may lie where one of its sources lay", "[cuda]", EVERY_DTYPE) {
  cuda_sim::ForgetErrors();
  std::mt19937_64 random(2);
  const size_t elements = 1027;
  for (size_t place = 0; place < 3; ++place) {
    CAPTURE(place);
    std::vector<std::vector<TestType>> values;
    std::vector<OnDevice<TestType>> arrays;
    std::vector<const void*> host, sources;
    for (size_t k = 0; k < 3; ++k) {
      values.push_back(RandomNumbers<TestType>(random, elements));
      arrays.emplace_back(values.back(), 1);
      sources.push_back(arrays.back().data());
    }
    for (const auto& each : values) host.push_back(each.data());
    std::vector<TestType> expected(elements);
    RoundedFold(DTypeOf<TestType>(), expected.data(), host.data(), 3, elements);
    REQUIRE(cuda::LeftFold(DTypeOf<TestType>(), sources.data(), 3, elements, /*rounded=*/true,
                           arrays[place].data(), kPlace) == cudaSuccess);
    REQUIRE(FirstDifference(arrays[place].Read(), expected) == -1);
  }
}

TEST_CASE("a sum on a GPU of nothing is refused, one of no element is none", "[cuda]") {
  cuda_sim::ForgetErrors();
  const void* const none[] = {nullptr};
  CHECK(cuda::LeftFold(DType::kFloat32, none, 0, 5, false, nullptr, kPlace) ==
        cudaErrorInvalidValue);
  CHECK(cuda::LeftFold(DType::kUnspecified, none, 1, 5, false, nullptr, kPlace) ==
        cudaErrorInvalidValue);
  CHECK(cuda::LeftFold(DType::kFloat32, none, 1, 0, false, nullptr, kPlace) == cudaSuccess);
  CHECK(cuda::Narrow(DType::kFloat32, nullptr, 5, nullptr, kPlace) == cudaErrorInvalidValue);
}

}  // namespace kvstore
