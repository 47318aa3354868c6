// Compression of what GPUs have: they encode it themselves, with the bits of the host, and only the
// codes cross; what is left over follows the values from GPU to GPU, to the host and back.
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
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
// Where the arrays of each push are: what is left over moves between these.
using Places = std::vector<std::vector<int>>;
const Places kPlaces = {
    {0, 1},    {0, 1},        {1},           {0},          {kHost, kHost, kHost},
    {kHost},   {kHost, 1},    {1, 0, kHost}, {0, 0, 0, 0}, {0, 1, 0, 1, kHost, 1, 0, 1, 0, 1},
    {1, 0, 1}, {kHost, kHost}};

NDArray On(const NDArray& array, int gpu) {
  return gpu == kHost ? array : array.Copy(Context::Gpu(gpu));
}

DistClusterOptions TwoServers() {
  DistClusterOptions options;
  options.servers = 2;
  return options;
}

bool OnCluster(const std::string& type) { return type.rfind("dist", 0) == 0; }

// Runs `body` with a store of that type, of a cluster as its one worker.
void WithStore(const std::string& type,
               const std::function<void(KVStore& store, DistCluster* cluster)>& body) {
  if (!OnCluster(type)) return body(*KVStore::CreateUnique(type), nullptr);
  DistCluster cluster(TwoServers());
  CHECK(cluster.Run([&](KVStore& store, int) { body(store, &cluster); }, type) == NothingThrown(1));
}

void SetCompression(KVStore& store, const std::string& codec) {
  store.SetGradientCompression({{"type", codec}, {"threshold", codec == "2bit" ? "0.25" : "0.1"}});
}

// The value after each push of a fixed program, whose arrays are where `all` says, or all in host
// memory.
std::vector<Bytes> Train(const std::string& type, const std::string& codec, DataType dtype,
                         int64_t elements, const Places& all, bool on_gpus) {
  std::vector<Bytes> values;
  WithStore(type, [&](KVStore& store, DistCluster*) {
    SetCompression(store, codec);
    if (type == "dist_device_async") store.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {NDArray({elements}, dtype)});
    const DTypeOracle oracle(static_cast<DType>(dtype));
    std::mt19937_64 random(1);
    for (const std::vector<int>& places : all) {
      std::vector<NDArray> list;
      for (const int place : places) {
        list.push_back(
            On(testing::ToArray(oracle.Random(random, static_cast<size_t>(elements)), dtype),
               on_gpus ? place : kHost));
      }
      NDArray out({elements}, dtype);
      store.PushPull(Ints(list.size(), 1), Ints{1}, list, {&out});
      values.push_back(BytesOf(out));
    }
  });
  return values;
}

}  // namespace

TEST_CASE("what GPUs encode has the bits of the host, wherever the arrays of each push are",
          "[device][dist][codec]") {
  UseSimulatedGpus();
  const Sound sound;
  const std::string codec = GENERATE("2bit", "1bit");
  const std::string type = GENERATE("dist_device_sync", "dist_device_async", "device");
  for (const DataType dtype :
       {DataType::kFloat32, DataType::kFloat64, DataType::kFloat16, DataType::kBFloat16}) {
    CAPTURE(codec, type, DataTypeName(dtype));
    const std::vector<Bytes> on_gpus = Train(type, codec, dtype, 1003, kPlaces, true);
    const std::vector<Bytes> on_host = Train(type, codec, dtype, 1003, kPlaces, false);
    for (size_t push = 0; push < kPlaces.size(); ++push) {
      CAPTURE(push);
      CHECK(on_gpus[push] == on_host[push]);
    }
  }
}

TEST_CASE("large values are encoded part by part, by all GPUs that have some",
          "[device][dist][codec]") {
  UseSimulatedGpus();
  const Sound sound;
  const std::string type = GENERATE("dist_device_sync", "device");
  const auto dtype = GENERATE(DataType::kFloat32, DataType::kFloat16);
  const Places places = {{0, 1}, {1, 0, kHost}, {kHost}, {1}};
  CHECK(Train(type, "2bit", dtype, kSeveralParts, places, true) ==
        Train(type, "2bit", dtype, kSeveralParts, places, false));
}

TEST_CASE("of what a GPU encodes only the codes cross to the host", "[device][dist][codec]") {
  UseSimulatedGpus();
  const Sound sound;
  constexpr uint64_t kElements = uint64_t{1} << 19;  // two whole parts
  struct Crossing {
    const char* type;
    const char* codec;
    std::vector<int> places;
    uint64_t bytes;
  };
  const auto crossing =
      GENERATE(Crossing{"dist_device_sync", "2bit", {0, 1}, kElements * 4 / 16},
               Crossing{"dist_device_sync", "2bit", {1}, kElements * 4 / 16},
               Crossing{"dist_device_async", "2bit", {kHost, 1, 0}, kElements * 4 / 16},
               Crossing{"dist_device_sync", "1bit", {0, 1}, kElements * 4 / 32},
               // The host encodes the others.
               Crossing{"dist_device_sync", "fp16", {0, 1}, kElements * 4},
               Crossing{"dist_sync", "2bit", {0, 1}, 2 * kElements * 4},
               // A store of one process encodes each value by itself.
               Crossing{"device", "2bit", {0, 1, kHost}, 2 * kElements * 4 / 16},
               Crossing{"device", "1bit", {1}, kElements * 4 / 32},
               Crossing{"local", "2bit", {0, 1}, 2 * kElements * 4});
  CAPTURE(crossing.type, crossing.codec, crossing.places.size());
  WithStore(crossing.type, [&](KVStore& store, DistCluster*) {
    store.SetGradientCompression({{"type", crossing.codec}});
    if (std::string(crossing.type) == "dist_device_async") {
      store.SetOptimizer(OptimizerSpec("sum"));
    }
    store.Init(Ints{1}, {Filled(kElements, 0)});
    std::vector<NDArray> list;
    for (const int place : crossing.places) list.push_back(On(Filled(kElements, 1), place));
    for (int push = 0; push < 3; ++push) {
      const uint64_t before = Simulation().bytes_to_host();
      store.Push(Ints(list.size(), 1), list);
      store.WaitAll();
      MUST_EQUAL(Simulation().bytes_to_host() - before, crossing.bytes);
    }
  });
}

TEST_CASE("a push that fails on a GPU leaves what is left over as it was",
          "[device][dist][codec][faults]") {
  UseSimulatedGpus();
  const Sound sound;
  const auto call = GENERATE(Call::kAllocation, Call::kCopy, Call::kLaunch);
  const std::string type = GENERATE("dist_device_sync", "device");
  CAPTURE(static_cast<int>(call), type);
  WithStore(type, [&](KVStore& store, DistCluster*) {
    SetCompression(store, "2bit");
    store.SetOptimizer(OptimizerSpec("sum"));
    // Each key is pushed to in the same way; of the first one pushes fail in between.
    store.Init(Ints{1, 2}, {Filled(kSeveralParts, 0), Filled(kSeveralParts, 0)});
    const std::vector<NDArray> list = {On(Filled(kSeveralParts, 0.125f), 0),
                                       On(Filled(kSeveralParts, 0.03125f), 1),
                                       Filled(kSeveralParts, 0.0078125f)};
    int failures = 0;
    for (int spared = 0; spared < 60; ++spared) {
      Simulation().fail(call, spared);
      store.Push(Ints(3, 1), list);
      bool thrown = false;
      try {
        store.Wait(Ints{1});
      } catch (const Error& error) {
        thrown = true;
        MUST(error.code() == ErrorCode::kInternal || error.code() == ErrorCode::kResourceExhausted);
      }
      const bool failed = Simulation().has_failed();
      Sound::Restore();
      MUST_EQUAL(thrown, failed);
      failures += failed ? 1 : 0;
      if (failed) store.Push(Ints(3, 1), list);
      store.Push(Ints(3, 2), list);
      MUST(PullFrom(store, 1, kSeveralParts) == PullFrom(store, 2, kSeveralParts));
      if (!failed) break;
    }
    MUST(failures > 1);
  });
}

TEST_CASE("codes of a GPU that are sent again are the same ones", "[device][dist][codec][faults]") {
  UseSimulatedGpus();
  const Sound sound;
  const auto train = [](bool breaks) {
    Floats value;
    DistCluster cluster(TwoServers());
    CHECK(cluster.Run(
              [&](KVStore& store, int) {
                SetCompression(store, "2bit");
                store.SetOptimizer(OptimizerSpec("sum"));
                store.Init(Ints{1}, {Filled(kSeveralParts, 0)});
                for (size_t round = 0; round < 20; ++round) {
                  store.Push(Ints(2, 1),
                             {On(Filled(kSeveralParts, 0.1f), 0),
                              On(Filled(kSeveralParts, 0.01f), static_cast<int>(round % 2))});
                  // With its parts under way to both servers.
                  if (breaks) cluster.network().BreakStreams(cluster.server_address(round % 2));
                }
                value = PullFrom(store, 1, kSeveralParts);
              },
              "dist_device_sync") == NothingThrown(1));
    return value;
  };
  CHECK(train(true) == train(false));
}

}  // namespace kvstore
