// The SDK with the plugin that nvcc made: where there is no GPU the error names what is missing,
// where there is one an array lies there.
#include <dlfcn.h>

#include <catch2/catch.hpp>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/support/expect_error.h"

namespace kvstore {

TEST_CASE("a GPU is named where nvcc's plugin is: its array is zeros, or the driver is missing",
          "[cuda][errors]") {
  KVStore::InitPSEnv({{"KVSTORE_CUDA_PLUGIN", KVS_CUDA_PLUGIN}});
  const auto first_of_three = [] {
    const NDArray array({3}, DataType::kFloat32, Context::Gpu(0));
    float numbers[3] = {1, 1, 1};
    array.SyncCopyToCPU(numbers, 3);
    return numbers[0];
  };
  void* const driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver != nullptr) {
    CHECK(first_of_three() == 0);
    return;
  }
  CHECK_ERROR(first_of_three(), kFailedPrecondition,
              "gpu(0): missing: the NVIDIA driver (there is none on this host)");
}

}  // namespace kvstore
