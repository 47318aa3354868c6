// Row-sparse arrays on GPUs: their rows are in a GPU's memory, their indices in the host's.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/expect_error.h"
#include "tests/support/must.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

using testing::AllMemoryOfGpu0;
using testing::UseSimulatedGpus;

const Dims kShape = {100, 2};

NDArray RowsOnGpu(const RowMap& rows, int gpu = 0) {
  return RowArray(kShape, rows).Copy(Context::Gpu(gpu));
}
NDArray NoRowsOnGpu(int gpu = 0) {
  return NDArray::RowSparse(kShape, DataType::kFloat32, Context::Gpu(gpu));
}

// What every store with its arrays on GPUs gives; `n`: how many workers push the same.
void PushAndPull(KVStore& store, float n) {
  store.Init(Ints{1, 2}, {RowsOnGpu({{3, {1, 2}}, {99, {5, 5}}}), Filled(kShape, 0)});
  // A list of both storages, wherever they are.
  store.Push(Ints(3, 1), {RowsOnGpu({{3, {1, 1}}, {50, {1, 2}}}), RowArray(kShape, {{50, {2, 2}}}),
                          RowsOnGpu({{0, {7, 7}}}, 1)});
  NDArray out = NoRowsOnGpu(1);
  store.PullRowSparse(Ints{1}, {{&out, Ids({0, 3, 50, 99, 98})}});
  MUST_EQUAL(RowsIn(out), RowMap{{0, {7 * n, 7 * n}},
                                 {3, {1 + n, 2 + n}},
                                 {50, {3 * n, 4 * n}},
                                 {98, {0, 0}},
                                 {99, {5, 5}}});
  MUST(out.context().device == Context::Device::kGpu);
  // Fewer rows into the same array, and none.
  store.PullRowSparse(Ints{1, 1}, {{&out, Ids({1})}, {&out, Ids({99})}});
  MUST_EQUAL(RowsIn(out), RowMap{{99, {5, 5}}});
  store.PullRowSparse(Ints{1}, {{&out, NDArray()}});
  MUST(RowsIn(out).empty());
  // Rows to a dense key.
  store.Push(Ints(2, 2), {RowsOnGpu({{4, {1, 1}}}), Filled(kShape, 1).Copy(Context::Gpu(1))});
  store.Push(Ints{2}, {RowsOnGpu({{4, {1, 1}}})});
  NDArray dense(kShape, DataType::kFloat32, Context::Gpu(0));
  store.Pull(Ints{2}, {&dense});
  const Floats values = Read(dense);
  MUST_EQUAL(values[8], 3 * n);
  MUST_EQUAL(values[10], n);
}

}  // namespace

TEST_CASE("rows are copied from any memory to any", "[device][ndarray][rows]") {
  UseSimulatedGpus();
  const RowMap rows = {{3, {1, 2}}, {50, {3, 4}}};
  const NDArray there = RowArray(kShape, rows).Copy(Context::Gpu(0)).Copy(Context::Gpu(1));
  CHECK(there.context().index == 1);
  CHECK(there.indices() == std::vector<int64_t>{3, 50});
  CHECK(there.bytes() == 16);
  CHECK(RowsIn(there.Copy(Context::Cpu())) == rows);
  CHECK(RowsIn(NoRowsOnGpu().Copy(Context::Cpu())).empty());
  // Over the bytes of a dense array there.
  const NDArray dense = Array(Dims{2, 2}, {1, 2, 3, 4}).Copy(Context::Gpu(1));
  const NDArray over = NDArray::RowSparse(kShape, {3, 50}, dense);
  CHECK(over.data() == dense.data());
  CHECK(RowsIn(over) == rows);
}

TEST_CASE("rows on GPUs are pushed and pulled as those in host memory", "[device][rows]") {
  UseSimulatedGpus();
  for (const std::string type : {"device", "local"}) {
    CAPTURE(type);
    const auto store = KVStore::CreateUnique(type);
    store->SetOptimizer(OptimizerSpec("sum"));
    CHECK_NOTHROW(PushAndPull(*store, 1));
    // A local store fills row_sparse outputs of a Pull, too.
    NDArray out = NoRowsOnGpu();
    store->Pull(Ints{1}, {&out}, 0, /*ignore_sparse=*/false);
    CHECK(RowsIn(out).count(50) == 1);
    store->Pull(Ints{2}, {&out}, 0, /*ignore_sparse=*/false);
    CHECK(RowsIn(out).at(4) == Floats{3, 3});
  }
}

TEST_CASE("a store of a cluster takes rows on GPUs", "[device][dist][rows]") {
  UseSimulatedGpus();
  const std::string type = GENERATE("dist_device_sync", "dist_sync");
  DistClusterOptions options;
  options.workers = 2;
  options.servers = 2;
  DistCluster cluster(options);
  CHECK(cluster.Run(
            [](KVStore& store, int) {
              store.SetOptimizer(OptimizerSpec("sum"));
              store.Barrier();
              PushAndPull(store, 2);
            },
            type) == NothingThrown(2));
}

TEST_CASE("of rows that do not come to a GPU there are none, and the key goes on",
          "[device][dist][rows][errors]") {
  UseSimulatedGpus();
  const auto check = [](KVStore& store) {
    store.Init(Ints{1}, {RowsOnGpu({{3, {1, 2}}})});
    NDArray out = RowsOnGpu({{7, {7, 7}}});
    {
      const std::vector<NDArray> all = AllMemoryOfGpu0();
      store.PullRowSparse(Ints{1}, {{&out, Ids({3, 4, 5, 6})}});
      MUST_THROW(out.WaitToRead(), kResourceExhausted, "key 1: an array on gpu(0): out of memory");
      MUST(out.indices().empty());
    }
    store.PullRowSparse(Ints{1}, {{&out, Ids({3})}});
    MUST_EQUAL(RowsIn(out), RowMap{{3, {1, 2}}});
    // The simulated GPU finds that the bytes are not in its memory.
    float bytes[2] = {};
    const NDArray nowhere = NDArray::RowSparse(
        kShape, {3}, NDArray::FromBlob(bytes, {1, 2}, DataType::kFloat32, Context::Gpu(0)));
    store.Push(Ints{1, 1}, {nowhere, RowsOnGpu({{3, {5, 5}}})});
    MUST_THROW(store.Wait(Ints{1}), kInternal, "key 1: a copy on gpu(0): ");
    store.PullRowSparse(Ints{1}, {{&out, Ids({3})}});
    MUST_EQUAL(RowsIn(out), RowMap{{3, {1, 2}}});
  };
  CHECK_NOTHROW(check(*KVStore::CreateUnique("device")));
  DistCluster cluster(DistClusterOptions{});
  CHECK(cluster.Run([&](KVStore& store, int) { check(store); }, "dist_device_sync") ==
        NothingThrown(1));
}

}  // namespace kvstore
