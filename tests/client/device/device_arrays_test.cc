// Arrays in the memory of GPUs: what is copied there comes back.
#include <catch2/catch.hpp>
#include <vector>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/support/arrays.h"
#include "tests/support/expect_error.h"

namespace kvstore {

using testing::UseSimulatedGpus;

TEST_CASE("an array on a GPU is zeros, then what is copied there", "[device][ndarray]") {
  UseSimulatedGpus();
  const int gpu = GENERATE(0, 1);
  const NDArray array({2, 3}, DataType::kFloat32, Context::Gpu(gpu));
  CHECK(array.context().device == Context::Device::kGpu);
  CHECK(array.context().index == gpu);
  CHECK(array.bytes() == 24);
  Floats values(6, -1);
  array.SyncCopyToCPU(values.data(), 6);
  CHECK(values == Floats(6, 0));
  const Floats numbers = {1, 2, 3, 4, 5, 6};
  array.SyncCopyFromCPU(numbers.data(), 6);
  array.SyncCopyToCPU(values.data(), 6);
  CHECK(values == numbers);
}

TEST_CASE("an array is copied from any memory to any", "[device][ndarray]") {
  UseSimulatedGpus();
  const NDArray array = Array({1, 2, 3});
  const NDArray there = array.Copy(Context::Gpu(0)).Copy(Context::Gpu(1));
  CHECK(there.context().index == 1);
  const NDArray back = there.Copy(Context::Cpu());
  CHECK(back.data() != array.data());
  CHECK(Read(back) == Floats{1, 2, 3});
  CHECK(NDArray().Copy(Context::Gpu(0)).empty());
  CHECK(testing::BytesOf(NDArray({0, 2}).Copy(Context::Gpu(1))).empty());
}

TEST_CASE("a copy that does not fit the array is refused", "[device][ndarray][errors]") {
  UseSimulatedGpus();
  float numbers[4] = {};
  const NDArray array({3}, DataType::kFloat32, Context::Gpu(0));
  CHECK_ERROR(array.SyncCopyFromCPU(numbers, 4), kInvalidArgument,
              "SyncCopyFromCPU: an array of storage default of 4 elements expected, got one of 3");
  CHECK_ERROR(array.SyncCopyToCPU(numbers, 2), kInvalidArgument, "SyncCopyToCPU: ");
  CHECK_ERROR(NDArray::RowSparse({3, 1}).SyncCopyToCPU(numbers, 3), kInvalidArgument,
              "an array of storage default of 3 elements expected, got a row_sparse one");
  CHECK_ERROR(NDArray::RowSparse({3, 1}, DataType::kFloat32, Context::CpuPinned()), kUnimplemented,
              "row_sparse arrays on cpu_pinned(0)");
}

TEST_CASE("an array that is larger than the GPU's memory is refused", "[device][errors]") {
  UseSimulatedGpus();
  CHECK_ERROR(NDArray({int64_t{1} << 30}, DataType::kFloat32, Context::Gpu(1)), kResourceExhausted,
              "an array on gpu(1): out of memory");
  const NDArray small({3}, DataType::kFloat32, Context::Gpu(1));  // and nothing is lost
  CHECK(testing::BytesOf(small) == std::vector<uint8_t>(12));
}

}  // namespace kvstore
