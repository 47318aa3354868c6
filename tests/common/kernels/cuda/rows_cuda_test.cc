// Sums of rows on a GPU have the scalar reference's bits, for every dtype, width and number of rows
// of a sum, wherever the rows begin; nothing is written beside the sums.
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include "common/kernels/cuda/rows.cuh"
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

using Numbers = std::vector<unsigned long long>;

constexpr size_t kArrays = 3;
constexpr size_t kRows = 11;  // of each array
const cuda::Place kPlace{nullptr, 2};

}  // namespace

TEMPLATE_TEST_CASE("sums of rows on a GPU have the scalar's bits", "[cuda][rows]", EVERY_DTYPE) {
  using Acc = cuda::AccOf<TestType>;
  cuda_sim::ForgetErrors();
  std::mt19937_64 random(1);
  constexpr size_t kPack = cuda::kPackBytes / sizeof(TestType);
  for (const size_t width : {size_t{1}, size_t{3}, kPack, 3 * kPack, size_t{33}, 40 * kPack}) {
    for (const size_t offset : {0, 1}) {
      for (const size_t sums : {1, 2, 7, 70}) {
        CAPTURE(width, offset, sums);
        std::vector<std::vector<TestType>> values;
        std::vector<OnDevice<TestType>> arrays;
        for (size_t k = 0; k < kArrays; ++k) {
          values.push_back(RandomNumbers<TestType>(random, kRows * width));
          arrays.emplace_back(values.back(), offset);
        }
        // Each sum is one of one to five rows of any array, in any order, some of them again.
        Numbers rows, begins = {0};
        std::vector<Acc> expected(sums * width);
        for (size_t s = 0; s < sums; ++s) {
          std::vector<const void*> sources;
          for (size_t n = 1 + random() % 5; n > 0; --n) {
            const size_t k = random() % kArrays, row = random() % kRows;
            sources.push_back(&values[k][row * width]);
            rows.push_back(reinterpret_cast<uintptr_t>(arrays[k].data() + row * width));
          }
          begins.push_back(rows.size());
          scalar::LeftFold<TestType>(&expected[s * width], sources.data(), sources.size(), 0,
                                     width);
        }
        const OnDevice<unsigned long long> rows_there(rows, 0), begins_there(begins, 0);
        const OnDevice<Acc> to(std::vector<Acc>(sums * width), offset, kGuard);
        cuda::RowLists lists;
        lists.rows = rows_there.data();
        lists.begins = begins_there.data();
        lists.sums = sums;
        lists.width = width;
        lists.packed = offset == 0 && width % kPack == 0;
        REQUIRE(cuda::SumRowsOf(DTypeOf<TestType>(), lists, to.data(), kPlace) == cudaSuccess);
        REQUIRE(FirstDifference(to.Read(), expected) == -1);
        REQUIRE(to.GuardsIntact());
      }
    }
  }
}

TEST_CASE("sums of rows on a GPU of no dtype are refused, of no row they are none",
          "[cuda][rows]") {
  cuda_sim::ForgetErrors();
  CHECK(cuda::SumRowsOf(DType::kUnspecified, {nullptr, nullptr, 1, 1}, nullptr, kPlace) ==
        cudaErrorInvalidValue);
  CHECK(cuda::SumRowsOf(DType::kFloat32, {nullptr, nullptr, 0, 1}, nullptr, kPlace) == cudaSuccess);
}

}  // namespace kvstore
