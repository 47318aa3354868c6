// Stores of a cluster with arrays on GPUs: the bits of the same arrays in host memory.
#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/client/device/placed_arrays.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/must.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

using testing::AllMemoryOfGpu0;
using testing::ArrayLists;
using testing::BytesOf;
using testing::Place;
using testing::RandomLists;
using testing::UseSimulatedGpus;

using Bytes = std::vector<uint8_t>;
using Parameters = std::vector<std::pair<std::string, std::string>>;

DistClusterOptions OptionsOf(uint32_t workers, NanPolicy policy = NanPolicy::kAllow) {
  DistClusterOptions options;
  options.workers = workers;
  options.servers = 2;
  options.core.nan_policy = policy;
  return options;
}

NDArray OnGpu(const Floats& values, int gpu = 0) { return Array(values).Copy(Context::Gpu(gpu)); }

Floats PulledToGpu(KVStore& store, int key, const Dims& shape, int gpu = 1) {
  NDArray out(shape, DataType::kFloat32, Context::Gpu(gpu));
  store.Pull(Ints{key}, {&out});
  return Read(out);
}

// The value after each worker has pushed these lists, as every worker pulls it into arrays on each
// side, of the key's dtype.
Bytes AfterPushes(const std::string& type, const ArrayLists& lists, bool on_gpus,
                  const Parameters& compression = {}, NanPolicy policy = NanPolicy::kAllow) {
  const bool rounds = type.find("async") == std::string::npos;
  const uint32_t workers = rounds ? 2 : 1;
  DistCluster cluster(OptionsOf(workers, policy));
  std::vector<Bytes> pulled(workers);
  const auto placed = [&](const NDArray& array, size_t place) {
    return on_gpus ? array.Copy(Place(place)) : array;
  };
  CHECK(cluster.Run(
            [&](KVStore& store, int rank) {
              const NDArray& like = lists[0][0];
              if (!compression.empty()) store.SetGradientCompression(compression);
              if (!rounds) store.SetOptimizer(OptimizerSpec("sum"));
              store.Init(Ints{1}, {placed(like, 1)});
              for (const std::vector<NDArray>& list : lists) {
                std::vector<NDArray> values;
                for (size_t i = 0; i < list.size(); ++i) values.push_back(placed(list[i], i));
                store.Push(Ints(list.size(), 1), values);
              }
              std::vector<NDArray> outputs;
              std::vector<NDArray*> to;
              for (size_t i = 0; i < 3; ++i) {
                outputs.emplace_back(like.shape(), like.dtype(),
                                     on_gpus ? Place(i) : Context::Cpu());
              }
              for (NDArray& output : outputs) to.push_back(&output);
              store.Pull(Ints(3, 1), to);
              Bytes& bytes = pulled[static_cast<size_t>(rank)];
              bytes = BytesOf(outputs[0]);
              MUST(BytesOf(outputs[1]) == bytes);
              MUST(BytesOf(outputs[2]) == bytes);
              store.WaitAll();
            },
            type) == NothingThrown(workers));
  for (const Bytes& each : pulled) CHECK(each == pulled[0]);
  return pulled[0];
}

}  // namespace

TEST_CASE("values on GPUs have the sum on a cluster that they have in host memory",
          "[device][dist]") {
  UseSimulatedGpus();
  const std::string type = GENERATE("dist_device_sync", "dist_sync", "dist_device_async");
  for (const DataType dtype : testing::kEveryDType) {
    for (const size_t count : {1, 9}) {
      CAPTURE(type, DataTypeName(dtype), count);
      const ArrayLists lists = RandomLists(dtype, 1001, count);
      CHECK(AfterPushes(type, lists, true) == AfterPushes(type, lists, false));
    }
  }
}

TEST_CASE("large values on GPUs are summed, sent and pulled part by part", "[device][dist]") {
  UseSimulatedGpus();
  const std::string type = GENERATE("dist_device_sync", "dist_sync");
  const auto dtype = GENERATE(DataType::kFloat32, DataType::kFloat16);
  const ArrayLists lists = RandomLists(dtype, kSeveralParts, 3);
  CHECK(AfterPushes(type, lists, true) == AfterPushes(type, lists, false));
}

TEST_CASE("what is compressed on a cluster is what GPUs have, and what is left over stays",
          "[device][dist][codec]") {
  UseSimulatedGpus();
  const std::string codec = GENERATE("2bit", "1bit", "fp16");
  Parameters compression = {{"type", codec}};
  if (codec == "2bit") compression.emplace_back("threshold", "0.5");
  const ArrayLists lists = RandomLists(DataType::kFloat32, 1001, 2);
  CAPTURE(codec);
  CHECK(AfterPushes("dist_device_sync", lists, true, compression) ==
        AfterPushes("dist_device_sync", lists, false, compression));
}

TEST_CASE("a pull into GPUs converts, also in place of what was pushed", "[device][dist]") {
  UseSimulatedGpus();
  DistCluster cluster(OptionsOf(2));
  CHECK(
      cluster.Run(
          [](KVStore& store, int) {
            NDArray shared(Dims{2}, DataType::kFloat32, Context::Gpu(1));
            store.Broadcast(Ints{1}, Ints{1}, {OnGpu({7, 8})}, {&shared});
            MUST_EQUAL(Read(shared), Floats{7, 8});
            NDArray in_place = OnGpu({1.5, -2});
            NDArray wide({2}, DataType::kFloat64, Context::Gpu(1));
            store.PushPull(Ints{1, 1}, Ints{1, 1}, {in_place, Array({1, 1})}, {&in_place, &shared});
            MUST_EQUAL(Read(in_place), Floats{5, -2});
            MUST_EQUAL(Read(shared), Floats{5, -2});
            store.Pull(Ints{1}, {&wide});
            std::vector<double> doubles(2);
            wide.SyncCopyToCPU(doubles.data(), 2);
            MUST_EQUAL(doubles, std::vector<double>{5, -2});
          },
          "dist_device_sync") == NothingThrown(2));
}

TEST_CASE("operations on an array of a GPU keep their order", "[device][dist]") {
  UseSimulatedGpus();
  DistCluster cluster(OptionsOf(2));
  CHECK(cluster.Run(
            [](KVStore& store, int) {
              store.SetOptimizer(OptimizerSpec("sum"));
              store.Barrier();
              store.Init(Ints{1, 2}, {Array({1}), Array({0})});
              NDArray array(Dims{1}, DataType::kFloat32, Context::Gpu(0));
              // Nobody waits: each push has what the pull before it brought.
              for (int i = 0; i < 10; ++i) {
                store.Pull(Ints{1}, {&array});
                store.Push(Ints{1, 1}, {array, array});
                store.Push(Ints{2}, {array});
              }
              array.WaitToWrite();
              store.Pull(Ints{1}, {&array});
              MUST_EQUAL(Read(array), Floats{9765625});  // 5^10
              store.Pull(Ints{2}, {&array});
              MUST_EQUAL(Read(array), Floats{2 * 2441406});  // of both, 1 + 5 + … + 5^9
            },
            "dist_device_sync") == NothingThrown(2));
}

TEST_CASE("an array on a GPU may stand among small keys that go in a group", "[device][dist]") {
  UseSimulatedGpus();
  DistCluster cluster(OptionsOf(2));
  CHECK(cluster.Run([](KVStore& store, int) {
    const Ints keys = {0, 1, 2, 3};
    store.Init(keys, std::vector<NDArray>(4, Array({0, 0})));
    store.Push(keys, {Array({1, 2}), Array({3, 4}), OnGpu({5, 6}), Array({7, 8})});
    std::vector<NDArray> outputs;
    std::vector<NDArray*> to;
    for (int i = 0; i < 4; ++i) {
      outputs.emplace_back(Dims{2}, DataType::kFloat32, i == 1 ? Context::Gpu(1) : Context::Cpu());
    }
    for (NDArray& output : outputs) to.push_back(&output);
    store.Pull(keys, to);
    for (int i = 0; i < 4; ++i) {
      const auto first = static_cast<float>(4 * i + 2);
      MUST_EQUAL(Read(outputs[static_cast<size_t>(i)]), Floats{first, first + 2});
    }
  }) == NothingThrown(2));
}

TEST_CASE("a row_sparse key of a cluster takes dense values of GPUs, and goes to them",
          "[device][dist][rows]") {
  UseSimulatedGpus();
  DistCluster cluster(OptionsOf(2));
  CHECK(cluster.Run(
            [](KVStore& store, int rank) {
              store.SetOptimizer(OptimizerSpec("sum"));
              store.Barrier();
              const Dims shape = {3, 2};
              store.Init(Ints{1}, {NDArray::RowSparse(shape)});
              NDArray dense(shape, DataType::kFloat32, Context::Gpu(rank));
              const Floats numbers = {1, 2, 0, 0, 5, 6};
              dense.SyncCopyFromCPU(numbers.data(), 6);
              store.Push(Ints{1, 1}, {dense, RowArray(shape, {{1, {7, 8}}})});
              MUST_EQUAL(PulledToGpu(store, 1, shape), Floats{2, 4, 14, 16, 10, 12});
              store.PushPull(Ints{1}, Ints{1, 1}, {dense}, {&dense, &dense});
              MUST_EQUAL(Read(dense), Floats{4, 8, 14, 16, 20, 24});
            },
            "dist_device_sync") == NothingThrown(2));
}

TEST_CASE("a reader pulls values of one round into GPUs", "[device][dist][readers]") {
  UseSimulatedGpus();
  DistCluster cluster(OptionsOf(1));
  CHECK(cluster.Run([&](KVStore& store, int) {
    const Dims shape = {3, 2};
    store.Init(Ints{1, 2}, {Array({1, 2}), NDArray::RowSparse(shape)});
    store.Push(Ints{1, 2}, {OnGpu({3, 4}), RowArray(shape, {{1, {7, 8}}})});
    store.WaitAll();
    const auto reader = cluster.JoinAsReader();
    NDArray dense(Dims{2}, DataType::kFloat32, Context::Gpu(0));
    NDArray rows(shape, DataType::kFloat32, Context::Gpu(1));
    reader->Pull(Ints{1, 2}, {&dense, &rows}, 0, true, /*consistent=*/true);
    MUST_EQUAL(Read(dense), Floats{3, 4});
    MUST_EQUAL(Read(rows), Floats{0, 0, 7, 8, 0, 0});
  }) == NothingThrown(1));
}

TEST_CASE("the policy on NaNs holds for what GPUs have", "[device][dist][nan]") {
  UseSimulatedGpus();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kMax = std::numeric_limits<float>::max();
  DistCluster rejects(OptionsOf(1, NanPolicy::kReject));
  CHECK(rejects.Run(
            [&](KVStore& store, int) {
              store.Init(Ints{7}, {Array({1, 1})});
              store.Push(Ints{7, 7}, {OnGpu({1, 2}), OnGpu({3, kNan}, 1)});
              MUST_THROW(store.Wait(Ints{7}), kInvalidArgument,
                         "key 7: worker 0 round 1: value 1 element 1 is nan");
              store.Push(Ints{7, 7}, {OnGpu({kMax, 2}), OnGpu({kMax, 2}, 1)});
              MUST_THROW(store.Wait(Ints{7}), kInvalidArgument,
                         "round 1: the sum of 2 values: element 0 is inf");
              MUST_EQUAL(PulledToGpu(store, 7, Dims{2}), Floats{1, 1});
              store.Push(Ints{7, 7}, {OnGpu({1, 2}), OnGpu({3, 4}, 1)});
              MUST_EQUAL(PulledToGpu(store, 7, Dims{2}), Floats{4, 6});
            },
            "dist_device_sync") == NothingThrown(1));
  ArrayLists lists = RandomLists(DataType::kFloat32, 1001, 3);
  lists[1][0].data_as<float>()[17] = kNan;
  CHECK(AfterPushes("dist_device_sync", lists, true, {}, NanPolicy::kZero) ==
        AfterPushes("dist_device_sync", lists, false, {}, NanPolicy::kZero));
}

TEST_CASE("a sum for which a GPU has too little memory leaves the key as it was",
          "[device][dist][errors]") {
  UseSimulatedGpus();
  DistCluster cluster(OptionsOf(1));
  CHECK(cluster.Run(
            [](KVStore& store, int) {
              store.Init(Ints{1}, {Array({1, 2})});
              const NDArray there = OnGpu({3, 4});
              {
                const std::vector<NDArray> all = AllMemoryOfGpu0();
                store.Push(Ints{1, 1}, {there, Array({5, 6})});
                MUST_THROW(store.Wait(Ints{1}), kResourceExhausted,
                           "key 1: an array on gpu(0): out of memory");
              }
              MUST_EQUAL(PulledToGpu(store, 1, Dims{2}), Floats{1, 2});
              store.Push(Ints{1, 1}, {there, Array({5, 6})});
              MUST_EQUAL(PulledToGpu(store, 1, Dims{2}), Floats{8, 10});
            },
            "dist_device_sync") == NothingThrown(1));
}

TEST_CASE("a copy from or to a GPU that fails is the operation's error, and the key goes on",
          "[device][dist][errors]") {
  UseSimulatedGpus();
  DistCluster cluster(OptionsOf(1));
  CHECK(cluster.Run(
            [](KVStore& store, int) {
              store.Init(Ints{1, 2}, {Array({1, 2}), NDArray::RowSparse({2, 1})});
              // The simulated GPU finds that the bytes are not in its memory.
              float bytes[2] = {};
              NDArray nowhere = NDArray::FromBlob(bytes, {2}, DataType::kFloat32, Context::Gpu(0));
              store.Push(Ints{1}, {nowhere});
              MUST_THROW(store.Wait(Ints{1}), kInternal,
                         "key 1: a copy on gpu(0): a copy: its source is host memory");
              store.Push(Ints{1, 1}, {nowhere, OnGpu({1, 1})});
              MUST_THROW(store.Wait(Ints{1}), kInternal, "key 1: a sum on gpu(0): a source in its");
              store.Pull(Ints{1}, {&nowhere});
              MUST_THROW(nowhere.WaitToRead(), kInternal,
                         "key 1: a copy on gpu(0): a copy: its target is host memory");
              NDArray rows = NDArray::FromBlob(bytes, {2, 1}, DataType::kFloat32, Context::Gpu(0));
              store.Pull(Ints{2}, {&rows});
              MUST_THROW(rows.WaitToRead(), kInternal, "key 2: a copy on gpu(0): ");
              MUST_EQUAL(PulledToGpu(store, 1, Dims{2}), Floats{1, 2});
              store.PushPull(Ints{1}, Ints{1}, {OnGpu({3, 4})}, {&nowhere});
              MUST_THROW(store.Wait(Ints{1}), kUnknown, "it is pushed, but not pulled");
              MUST_EQUAL(PulledToGpu(store, 1, Dims{2}), Floats{3, 4});  // the push was done
            },
            "dist_device_sync") == NothingThrown(1));
}

}  // namespace kvstore
