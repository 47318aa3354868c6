// The store `nccl` on simulated GPUs, with a NCCL of the tests' own: its sums, what it says of what
// is missing, and what becomes of a collective that fails.
#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/support/arrays.h"
#include "tests/support/cuda_sim/faults.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/expect_error.h"
#include "tests/support/fake_nccl/fake_nccl.h"

namespace kvstore {
namespace {

using testing::BytesOf;

constexpr int kGpus = 8;

template <typename Control>
const Control& ControlOf(const char* file, const char* symbol) {
  void* const handle = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(handle != nullptr);
  void* const function = ::dlsym(handle, symbol);
  REQUIRE(function != nullptr);
  return *reinterpret_cast<const Control* (*)()>(function)();
}

const fake_nccl::Control& Nccl() {
  static const fake_nccl::Control& nccl = []() -> const fake_nccl::Control& {
    REQUIRE(setenv("KVS_TEST_CUDA_DEVICES", "8", 1) == 0);
    KVStore::InitPSEnv(
        {{"KVSTORE_CUDA_PLUGIN", KVS_CUDA_SIM}, {"KVSTORE_NCCL_LIB", KVS_FAKE_NCCL}});
    const auto& control = ControlOf<fake_nccl::Control>(KVS_FAKE_NCCL, FAKE_NCCL_CONTROL_SYMBOL);
    // A collective looks where its arrays are.
    control.device_of(
        ControlOf<cuda_sim::Control>(KVS_CUDA_SIM, CUDA_SIM_CONTROL_SYMBOL).device_of);
    return control;
  }();
  return nccl;
}

NDArray On(const NDArray& array, int gpu) {
  return gpu < 0 ? array : array.Copy(Context::Gpu(gpu));
}

}  // namespace

// The first plugin that is found stays: this case comes before the others.
TEST_CASE("without NCCL or a GPU the store nccl says what is missing", "[nccl][errors]") {
  KVStore::InitPSEnv({{"KVSTORE_NCCL_LIB", "/nowhere/libnccl.so"},
                      {"KVSTORE_CUDA_PLUGIN", "/nowhere/libplugin.so"}});
  CHECK_ERROR(KVStore::CreateUnique("nccl"), kFailedPrecondition,
              "store 'nccl': missing: NCCL (/nowhere/libnccl.so");
  CHECK_ERROR(KVStore::CreateUnique("nccl"), kFailedPrecondition,
              "gpu(0): missing: the plugin (/nowhere/libplugin.so");
  KVStore::InitPSEnv({{"KVSTORE_NCCL_LIB", "libm.so.6"}});
  CHECK_ERROR(KVStore::CreateUnique("NCCL"), kFailedPrecondition,
              "missing: NCCL ('libm.so.6' has no ncclGetVersion)");
  KVStore::InitPSEnv({{"KVSTORE_NCCL_LIB", KVS_FAKE_NCCL}});
  CHECK_ERROR(KVStore::CreateUnique("nccl"), kFailedPrecondition,
              "store 'nccl': gpu(0): missing: the plugin");
}

TEST_CASE("nccl sums integers and bools of several GPUs as every store does", "[nccl]") {
  Nccl();
  const auto dtype = GENERATE(DataType::kInt8, DataType::kUInt8, DataType::kInt32, DataType::kInt64,
                              DataType::kBool);
  const int gpus = GENERATE(1, 2, 3, 5, 8);
  const testing::DTypeOracle oracle(static_cast<DType>(dtype));
  for (const int64_t elements : {1, 7, 8, 1003}) {
    CAPTURE(DataTypeName(dtype), gpus, elements);
    std::mt19937_64 random(static_cast<uint64_t>(elements));
    const auto store = KVStore::CreateUnique("nccl"), local = KVStore::CreateUnique("local");
    for (KVStore* const each : {store.get(), local.get()}) {
      each->SetOptimizer(OptimizerSpec("sum"));
      each->Init(Ints{1}, {NDArray({elements}, dtype)});
    }
    // Two on some GPUs, and one in host memory.
    std::vector<NDArray> values, on_host;
    for (int i = 0; i < gpus + 3; ++i) {
      on_host.push_back(
          testing::ToArray(oracle.Random(random, static_cast<size_t>(elements)), dtype));
      values.push_back(On(on_host.back(), i == 1 ? -1 : i % gpus));
    }
    NDArray out({elements}, dtype, Context::Gpu(gpus - 1)), expected({elements}, dtype);
    store->PushPull(Ints(values.size(), 1), Ints{1}, values, {&out});
    local->PushPull(Ints(on_host.size(), 1), Ints{1}, on_host, {&expected});
    CHECK(BytesOf(out) == BytesOf(expected));
  }
}

// Every number is a small one times a power of two, so that no order of additions rounds.
TEST_CASE("nccl sums floats of several GPUs, f16 and bf16 rounded once", "[nccl]") {
  Nccl();
  const auto dtype =
      GENERATE(DataType::kFloat32, DataType::kFloat64, DataType::kFloat16, DataType::kBFloat16);
  const bool several_parts = GENERATE(false, true);
  const int64_t elements = several_parts ? kSeveralParts : 1003;
  CAPTURE(DataTypeName(dtype), elements);
  const auto store = KVStore::CreateUnique("nccl"), local = KVStore::CreateUnique("local");
  const int64_t before = Nccl().collectives();
  for (KVStore* const each : {store.get(), local.get()}) {
    each->Init(Ints{1}, {NDArray({elements}, dtype)});
  }
  std::vector<NDArray> values, on_host;
  for (int i = 0; i < 3; ++i) {
    NDArray numbers({elements});
    for (int64_t k = 0; k < elements; ++k) {
      numbers.data_as<float>()[k] = static_cast<float>((k * 7 + int64_t{1021} * i) % 2003);
    }
    local->Init(Ints{10 + i}, {numbers});
    NDArray converted({elements}, dtype);
    local->Pull(Ints{10 + i}, {&converted});
    on_host.push_back(converted);
    values.push_back(On(converted, i));
  }
  NDArray out({elements}, dtype, Context::Gpu(2)), expected({elements}, dtype);
  store->PushPull(Ints(3, 1), Ints{1}, values, {&out});
  local->PushPull(Ints(3, 1), Ints{1}, on_host, {&expected});
  CHECK(BytesOf(out) == BytesOf(expected));
  CHECK(Nccl().collectives() > before);
}

TEST_CASE("nccl takes what one GPU or none has, and gives back its communicators", "[nccl]") {
  const int64_t communicators = Nccl().communicators();
  {
    const auto store = KVStore::CreateUnique("nccl");
    store->SetOptimizer(OptimizerSpec("sum"));
    store->Init(Ints{1}, {Array({0, 0, 0})});
    const int64_t collectives = Nccl().collectives();
    store->Push(Ints{1, 1}, {Array({1, 2, 3}), Array({1, 1, 1})});
    store->Push(Ints{1, 1}, {On(Array({1, 2, 3}), 4), Array({1, 1, 1})});
    CHECK(PullFrom(*store, 1, 3) == Floats{4, 6, 8});
    CHECK(Nccl().collectives() == collectives);
    store->Push(Ints{1, 1}, {On(Array({1, 2, 3}), 4), On(Array({1, 1, 1}), 6)});
    store->Push(Ints{1, 1}, {On(Array({1, 2, 3}), 6), On(Array({1, 1, 1}), 4)});
    CHECK(PullFrom(*store, 1, 3) == Floats{8, 12, 16});
    CHECK(Nccl().collectives() == collectives + 2);
    CHECK(Nccl().communicators() == communicators + 2);
  }
  CHECK(Nccl().communicators() == communicators);
}

TEST_CASE("a collective that fails is an error, changes nothing, and the next one works",
          "[nccl][faults]") {
  const int64_t communicators = Nccl().communicators();
  {
    const auto store = KVStore::CreateUnique("nccl");
    store->SetOptimizer(OptimizerSpec("sum"));
    store->Init(Ints{1}, {Filled(kSeveralParts, 1)});
    const std::vector<NDArray> values = {On(Filled(kSeveralParts, 2), 0),
                                         On(Filled(kSeveralParts, 4), 1)};
    for (const int64_t spared : {0, 1, 2}) {
      CAPTURE(spared);
      Nccl().fail(spared);
      store->Push(Ints{1, 1}, values);
      CHECK_ERROR(store->WaitAll(), kInternal,
                  "a sum of gpu(0), gpu(1): NCCL: unhandled system error");
      Nccl().fail(-1);
      CHECK(PullFrom(*store, 1, kSeveralParts) == Floats(size_t{kSeveralParts}, 1));
    }
    store->Push(Ints{1, 1}, values);
    CHECK(PullFrom(*store, 1, kSeveralParts) == Floats(size_t{kSeveralParts}, 7));
  }
  CHECK(Nccl().communicators() == communicators);
}

TEST_CASE("a sum by nccl of floats is near the left fold, in whatever order it adds", "[nccl]") {
  Nccl();
  const int gpus = GENERATE(2, 4, kGpus);
  constexpr int64_t kElements = 1003;
  std::mt19937 random(static_cast<unsigned>(gpus));
  std::uniform_real_distribution<float> numbers(-1, 1);
  const auto store = KVStore::CreateUnique("nccl");
  store->Init(Ints{1}, {Filled(kElements, 0)});
  std::vector<NDArray> values;
  std::vector<double> expected(kElements), magnitude(kElements);
  for (int gpu = 0; gpu < gpus; ++gpu) {
    NDArray value({kElements});
    for (int64_t i = 0; i < kElements; ++i) {
      const float x = numbers(random);
      value.data_as<float>()[i] = x;
      expected[static_cast<size_t>(i)] += x;
      magnitude[static_cast<size_t>(i)] += std::abs(x);
    }
    values.push_back(On(value, gpu));
  }
  store->Push(Ints(values.size(), 1), values);
  const Floats sum = PullFrom(*store, 1, kElements);
  // n - 1 additions, each of which rounds by half a unit in the last place at most.
  for (size_t i = 0; i < sum.size(); ++i) {
    CHECK(std::abs(sum[i] - expected[i]) <= (gpus - 1) * std::ldexp(magnitude[i], -24) * 1.01);
  }
}

}  // namespace kvstore
