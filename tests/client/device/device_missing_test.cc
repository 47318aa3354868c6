// What is said where a GPU is named and there is none: which of driver, plugin and GPU is missing.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/support/expect_error.h"

namespace kvstore {
namespace {

NDArray OnGpu(int index) { return NDArray({3}, DataType::kFloat32, Context::Gpu(index)); }

}  // namespace

// The first plugin that is found stays: one case, in this order.
TEST_CASE("without a GPU the error says what is missing, and where there is one later it is used",
          "[device][errors]") {
  CHECK_ERROR(OnGpu(0), kFailedPrecondition, "gpu(0): missing: ");
  CHECK_ERROR(OnGpu(0), kFailedPrecondition, "the plugin (libkvstore_cuda.so: ");
  CHECK_ERROR(OnGpu(0), kFailedPrecondition, "KVSTORE_CUDA_PLUGIN says where the plugin is");
  float bytes[3] = {};
  CHECK_ERROR(NDArray::FromBlob(bytes, {3}, DataType::kFloat32, Context::Gpu(1)),
              kFailedPrecondition, "gpu(1): missing: ");
  CHECK_ERROR(NDArray({3}).Copy(Context::Gpu(0)), kFailedPrecondition, "gpu(0): missing: ");

  KVStore::InitPSEnv({{"KVSTORE_CUDA_PLUGIN", "/nowhere/libplugin.so"}});
  CHECK_ERROR(OnGpu(0), kFailedPrecondition, "gpu(0): missing: the plugin (/nowhere/libplugin.so");
  KVStore::InitPSEnv({{"KVSTORE_CUDA_PLUGIN", "libm.so.6"}});
  CHECK_ERROR(OnGpu(0), kFailedPrecondition,
              "gpu(0): missing: a plugin ('libm.so.6' does not export kvstore_device_plugin_v2)");

  testing::UseSimulatedGpus();
  REQUIRE(setenv("KVS_TEST_CUDA_DEVICES", "0", 1) == 0);
  CHECK_ERROR(OnGpu(0), kFailedPrecondition, "gpu(0): missing: a GPU (no CUDA-capable device");
  REQUIRE(setenv("KVS_TEST_CUDA_DEVICES", "3", 1) == 0);
  CHECK(testing::BytesOf(OnGpu(2)) == std::vector<uint8_t>(12));
  CHECK_ERROR(OnGpu(3), kFailedPrecondition, "gpu(3): missing: a GPU of that number (there are 3)");
}

}  // namespace kvstore
