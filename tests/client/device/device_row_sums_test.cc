// Rows that GPUs have are summed by one of them, with the bits of the host, and only the sums
// cross.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/client/device/simulation.h"
#include "tests/support/arrays.h"
#include "tests/support/cuda_sim/faults.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/must.h"

namespace kvstore {
namespace {

using cuda_sim::Call;
using testing::BytesOf;
using testing::DTypeOracle;
using testing::Simulation;
using testing::Sound;
using testing::UseSimulatedGpus;

using Bytes = std::vector<uint8_t>;

constexpr int kHost = -1;
constexpr int64_t kHeight = 300;

// Runs `body` with a store of that type, of a cluster as its one worker.
void WithStore(const std::string& type, const std::function<void(KVStore& store)>& body) {
  if (type.rfind("dist", 0) != 0) return body(*KVStore::CreateUnique(type));
  DistCluster cluster(DistClusterOptions{});
  CHECK(cluster.Run([&](KVStore& store, int) { body(store); }, type) == NothingThrown(1));
}

NDArray On(const NDArray& array, int gpu) {
  return gpu == kHost ? array : array.Copy(Context::Gpu(gpu));
}

// Every `step`-th row from `first` on.
NDArray RowsOf(std::mt19937_64& random, DataType dtype, int64_t width, int64_t first,
               int64_t step) {
  std::vector<int64_t> ids;
  for (int64_t id = first; id < kHeight; id += step) ids.push_back(id);
  const auto rows = static_cast<int64_t>(ids.size());
  const Bytes bytes =
      DTypeOracle(static_cast<DType>(dtype)).Random(random, static_cast<size_t>(rows * width));
  const NDArray data({rows, width}, dtype);
  std::copy(bytes.begin(), bytes.end(), data.data_as<uint8_t>());
  return NDArray::RowSparse({kHeight, width}, std::move(ids), data);
}

// The whole value after each push of a fixed program.
std::vector<Bytes> Train(const std::string& type, DataType dtype, int64_t width, bool on_gpus) {
  std::vector<Bytes> values;
  WithStore(type, [&](KVStore& store) {
    store.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {NDArray::RowSparse({kHeight, width}, dtype)});
    std::mt19937_64 random(1);
    for (const std::vector<int>& places : std::vector<std::vector<int>>{
             {0, 1, kHost}, {0, 0}, {1, 1, 0, 1, 0, kHost, 1}, {kHost, 1}, {1}}) {
      std::vector<NDArray> list;
      for (size_t i = 0; i < places.size(); ++i) {
        const auto first = static_cast<int64_t>(random() % 5);
        list.push_back(On(RowsOf(random, dtype, width, first, 1 + static_cast<int64_t>(i)),
                          on_gpus ? places[i] : kHost));
      }
      // All rows, of default storage, and none.
      if (places.size() == 2) {
        const NDArray all = RowsOf(random, dtype, width, 0, 1).Copy(Context::Cpu());
        NDArray dense({kHeight, width}, dtype);
        dense.SyncCopyFromCPU(all.data(), static_cast<size_t>(dense.size()));
        list.push_back(On(dense, on_gpus ? places[0] : kHost));
        list.push_back(NDArray::RowSparse({kHeight, width}, dtype,
                                          on_gpus ? Context::Gpu(1) : Context::Cpu()));
      }
      store.Push(Ints(list.size(), 1), list);
      NDArray out({kHeight, width}, dtype);
      store.Pull(Ints{1}, {&out});
      values.push_back(BytesOf(out));
    }
  });
  return values;
}

}  // namespace

TEST_CASE("rows that GPUs have are summed there with the bits of the host",
          "[device][dist][rows]") {
  UseSimulatedGpus();
  const Sound sound;
  const std::string type = GENERATE("device", "dist_device_sync");
  for (const DataType dtype : testing::kEveryDType) {
    for (const int64_t width : {64, 67}) {  // whole 16 bytes, and not
      CAPTURE(type, DataTypeName(dtype), width);
      CHECK(Train(type, dtype, width, true) == Train(type, dtype, width, false));
    }
  }
}

TEST_CASE("of rows that a GPU sums each crosses to the host once", "[device][dist][rows]") {
  UseSimulatedGpus();
  const Sound sound;
  struct Crossing {
    const char* type;
    int64_t width;
    uint64_t rows;  // that cross
  };
  const auto crossing =
      GENERATE(Crossing{"device", 16, kHeight}, Crossing{"dist_device_sync", 16, kHeight},
               // A row of 60 bytes is shorter than what would be said of it; local sums on the CPU.
               Crossing{"device", 15, 3 * kHeight}, Crossing{"local", 16, 3 * kHeight});
  CAPTURE(crossing.type, crossing.width);
  WithStore(crossing.type, [&](KVStore& store) {
    store.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {NDArray::RowSparse({kHeight, crossing.width})});
    std::mt19937_64 random(1);
    std::vector<NDArray> list;
    for (const int gpu : {0, 1, 0}) {
      list.push_back(On(RowsOf(random, DataType::kFloat32, crossing.width, 0, 1), gpu));
    }
    for (int push = 0; push < 2; ++push) {
      const uint64_t before = Simulation().bytes_to_host();
      store.Push(Ints(3, 1), list);
      store.WaitAll();
      MUST_EQUAL(Simulation().bytes_to_host() - before,
                 crossing.rows * static_cast<uint64_t>(crossing.width) * sizeof(float));
    }
  });
}

TEST_CASE("a sum of rows that fails on a GPU leaves the key as it was",
          "[device][dist][rows][faults]") {
  UseSimulatedGpus();
  const Sound sound;
  const auto call = GENERATE(Call::kAllocation, Call::kCopy, Call::kLaunch);
  const std::string type = GENERATE("device", "dist_device_sync");
  CAPTURE(static_cast<int>(call), type);
  WithStore(type, [&](KVStore& store) {
    constexpr int64_t kWidth = 16;
    store.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {NDArray::RowSparse({kHeight, kWidth})});
    const auto ones = [](int gpu) {
      std::vector<int64_t> ids = {3, 7};
      return NDArray::RowSparse({kHeight, kWidth}, std::move(ids),
                                On(Filled(Dims{2, kWidth}, 1), gpu));
    };
    const std::vector<NDArray> list = {ones(0), ones(1), ones(kHost)};
    float expected = 0;
    int failures = 0;
    for (int spared = 0; spared < 20; ++spared) {
      Simulation().fail(call, spared);
      store.Push(Ints(3, 1), list);
      bool thrown = false;
      try {
        store.Wait(Ints{1});
      } catch (const Error&) {
        thrown = true;
      }
      const bool failed = Simulation().has_failed();
      Sound::Restore();
      MUST_EQUAL(thrown, failed);
      if (!failed) expected += 3;
      failures += failed ? 1 : 0;
      const Floats value = PullFrom(store, 1, Dims{kHeight, kWidth});
      MUST_EQUAL(value[3 * kWidth], expected);
      MUST_EQUAL(value[7 * kWidth + 15], expected);
      MUST_EQUAL(value[4 * kWidth], 0.0f);
      if (!failed) break;
    }
    MUST(failures > 0);
    // What is said to be in a GPU's memory, and is not, is no address for a kernel.
    float bytes[kWidth] = {};
    const NDArray nowhere = NDArray::RowSparse(
        {kHeight, kWidth}, {3},
        NDArray::FromBlob(bytes, {1, kWidth}, DataType::kFloat32, Context::Gpu(0)));
    store.Push(Ints{1, 1}, {nowhere, ones(0)});
    MUST_THROW(store.Wait(Ints{1}), kInternal,
               "key 1: a sum of rows on gpu(0): rows in its memory");
  });
}

}  // namespace kvstore
