// Stores with arrays on GPUs: the bits of the same arrays in host memory.
#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/client/device/placed_arrays.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/support/arrays.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

using testing::BytesOf;
using testing::Place;
using testing::RandomLists;
using testing::UseSimulatedGpus;

// The value after two pushes of such lists, pulled into an array on each side, of the key's dtype.
std::vector<uint8_t> AfterPushes(KVStore& store, const std::vector<std::vector<NDArray>>& lists,
                                 bool on_gpus) {
  const NDArray& like = lists[0][0];
  const auto placed = [&](const NDArray& array, size_t place) {
    return on_gpus ? array.Copy(Place(place)) : array;
  };
  store.Init(Ints{1}, {placed(like, 1)});
  for (const std::vector<NDArray>& list : lists) {
    std::vector<NDArray> values;
    for (size_t i = 0; i < list.size(); ++i) values.push_back(placed(list[i], i));
    store.Push(Ints(list.size(), 1), values);
  }
  std::vector<NDArray> outputs;
  std::vector<NDArray*> to;
  for (size_t i = 0; i < 3; ++i) {
    outputs.emplace_back(like.shape(), like.dtype(), on_gpus ? Place(i) : Context::Cpu());
  }
  for (NDArray& output : outputs) to.push_back(&output);
  store.Pull(Ints(3, 1), to);
  const std::vector<uint8_t> bytes = BytesOf(outputs[0]);
  CHECK(BytesOf(outputs[1]) == bytes);
  CHECK(BytesOf(outputs[2]) == bytes);
  return bytes;
}

}  // namespace

TEST_CASE("values on GPUs have the sum that they have in host memory", "[device]") {
  UseSimulatedGpus();
  const std::string type = GENERATE("device", "local");
  const bool adds = GENERATE(false, true);
  for (const DataType dtype : testing::kEveryDType) {
    for (const size_t count : {1, 2, 3, 9}) {
      CAPTURE(type, adds, DataTypeName(dtype), count);
      const auto lists = RandomLists(dtype, 1001, count);
      const auto of_gpus = KVStore::CreateUnique(type), of_host = KVStore::CreateUnique("local");
      if (adds) {
        of_gpus->SetOptimizer(OptimizerSpec("sum"));
        of_host->SetOptimizer(OptimizerSpec("sum"));
      }
      CHECK(AfterPushes(*of_gpus, lists, true) == AfterPushes(*of_host, lists, false));
    }
  }
}

TEST_CASE("large values on GPUs are summed part by part, by all of them", "[device]") {
  UseSimulatedGpus();
  const auto dtype = GENERATE(DataType::kFloat32, DataType::kFloat16);
  const auto lists = RandomLists(dtype, kSeveralParts, 3);
  const auto of_gpus = KVStore::CreateUnique("device"), of_host = KVStore::CreateUnique("local");
  CHECK(AfterPushes(*of_gpus, lists, true) == AfterPushes(*of_host, lists, false));
}

TEST_CASE("an updater of the user's sees what GPUs have in host memory", "[device]") {
  UseSimulatedGpus();
  const auto store = KVStore::CreateUnique("device");
  store->set_updater([](int, const NDArray& merged, NDArray* stored) {
    if (merged.context().device != Context::Device::kCpu) throw std::runtime_error("on a GPU");
    for (int64_t i = 0; i < merged.size(); ++i) {
      stored->data_as<float>()[i] += 10 * merged.data_as<float>()[i];
    }
  });
  store->Init(Ints{1}, {Array({1, 2})});
  const NDArray one = Array({1, 1}).Copy(Context::Gpu(0));
  const NDArray two = Array({2, 3}).Copy(Context::Gpu(1));
  store->Push(Ints{1, 1}, {one, two});
  CHECK(PullFrom(*store, 1, Dims{2}) == Floats{31, 42});
  store->Push(Ints{1}, {one});
  CHECK(PullFrom(*store, 1, Dims{2}) == Floats{41, 52});
}

TEST_CASE("an output on a GPU has its own dtype, and may be the array that was pushed",
          "[device]") {
  UseSimulatedGpus();
  const auto store = KVStore::CreateUnique("device");
  store->Init(Ints{1}, {Array({0, 0})});
  NDArray in_place = Array({1.5, -2}).Copy(Context::Gpu(0));
  store->PushPull(Ints{1, 1}, Ints{1}, {in_place, Array({1, 1})}, {&in_place});
  Floats values(2);
  in_place.SyncCopyToCPU(values.data(), 2);
  CHECK(values == Floats{2.5, -1});
  NDArray wide({2}, DataType::kFloat64, Context::Gpu(1));
  store->Pull(Ints{1}, {&wide});
  std::vector<double> doubles(2);
  wide.SyncCopyToCPU(doubles.data(), 2);
  CHECK(doubles == std::vector<double>{2.5, -1});
}

TEST_CASE("a row_sparse key takes dense values of GPUs, and goes to them", "[device][rows]") {
  UseSimulatedGpus();
  const auto store = KVStore::CreateUnique("device");
  store->SetOptimizer(OptimizerSpec("sum"));
  store->Init(Ints{1}, {NDArray::RowSparse({3, 2})});
  NDArray dense({3, 2});
  const Floats numbers = {1, 2, 0, 0, 5, 6};
  dense.SyncCopyFromCPU(numbers.data(), 6);
  store->Push(Ints{1, 1}, {dense.Copy(Context::Gpu(0)), RowArray({3, 2}, {{1, {7, 8}}})});
  NDArray out({3, 2}, DataType::kFloat32, Context::Gpu(1));
  store->Pull(Ints{1}, {&out}, 0, /*ignore_sparse=*/false);
  Floats values(6);
  out.SyncCopyToCPU(values.data(), 6);
  CHECK(values == Floats{1, 2, 7, 8, 5, 6});
}

TEST_CASE("what is compressed is what GPUs have, and what is left over stays", "[device][codec]") {
  UseSimulatedGpus();
  const auto of_gpus = KVStore::CreateUnique("device"), of_host = KVStore::CreateUnique("local");
  for (KVStore* const store : {of_gpus.get(), of_host.get()}) {
    store->SetGradientCompression({{"type", "2bit"}, {"threshold", "0.5"}});
  }
  const auto lists = RandomLists(DataType::kFloat32, 1001, 2);
  CHECK(AfterPushes(*of_gpus, lists, true) == AfterPushes(*of_host, lists, false));
}

}  // namespace kvstore
