// What the stores of a cluster promise when nothing goes wrong; dense, synchronous.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <future>
#include <random>
#include <thread>

#include "tests/support/dist_cluster.h"
#include "tests/support/must.h"
#include "tests/support/standard_error.h"

namespace kvstore {
namespace {

using Ints = std::vector<int>;
using Strings = std::vector<std::string>;
using Floats = std::vector<float>;

NDArray Array(const Floats& values) {
  NDArray array({static_cast<int64_t>(values.size())});
  std::memcpy(array.data(), values.data(), array.bytes());
  return array;
}
NDArray Filled(int64_t elements, float value) {
  NDArray array({elements});
  for (int64_t i = 0; i < elements; ++i) array.data_as<float>()[i] = value;
  return array;
}
Floats Read(const NDArray& array) {
  array.WaitToRead();
  return Floats(array.data_as<float>(), array.data_as<float>() + array.size());
}

constexpr int64_t kSeveralParts = (1 << 18) * 2 + 17;

// What worker `rank` contributes to `key` in `round`, as `devices` values: numbers whose sum
// depends on the order of the additions.
std::vector<NDArray> Contribution(int rank, int round, int key, int devices, int64_t elements) {
  std::mt19937 random(static_cast<unsigned>(rank * 1000 + round * 10 + key));
  std::uniform_real_distribution<float> number(-1, 1);
  std::vector<NDArray> values;
  for (int device = 0; device < devices; ++device) {
    NDArray value({elements});
    for (int64_t i = 0; i < elements; ++i) value.data_as<float>()[i] = number(random);
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace

TEST_CASE("dist_sync gives the bits of local given the same contributions", "[dist]") {
  struct Size {
    uint32_t workers, servers, shards;
    int devices;
  };
  const Size shape = GENERATE(Size{1, 1, 1, 1}, Size{3, 1, 2, 1}, Size{3, 2, 1, 3},
                              Size{2, 5, 2, 2}, Size{3, 3, 1, 1});
  CAPTURE(shape.workers, shape.servers, shape.shards, shape.devices);
  constexpr int kRounds = 3;
  const std::vector<int64_t> sizes = {1, 7, 1000, kSeveralParts};
  const auto sgd =
      OptimizerSpec("sgd").Set("learning_rate", 0.1).Set("momentum", 0.9).Set("rescale_grad", 0.5);

  DistCluster cluster({shape.workers, shape.servers, shape.shards});
  std::vector<std::vector<Floats>> weights(shape.workers);
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    if (rank == 0) store.SetOptimizer(sgd);
    store.Barrier();
    for (int key = 0; key < static_cast<int>(sizes.size()); ++key) {
      store.Init(Ints{key}, {Filled(sizes[static_cast<size_t>(key)], 1)});
    }
    std::vector<NDArray> outputs;
    for (const int64_t size : sizes) outputs.emplace_back(std::vector<int64_t>{size});
    for (int round = 0; round < kRounds; ++round) {
      for (int key = 0; key < static_cast<int>(sizes.size()); ++key) {
        const auto values =
            Contribution(rank, round, key, shape.devices, sizes[static_cast<size_t>(key)]);
        store.Push(Ints(values.size(), key), values, -key);
        store.Pull(Ints{key}, {&outputs[static_cast<size_t>(key)]}, -key);
      }
    }
    for (const NDArray& output : outputs)
      weights[static_cast<size_t>(rank)].push_back(Read(output));
  }) == NothingThrown(shape.workers));

  const auto local = KVStore::CreateUnique("local");
  local->SetOptimizer(sgd);
  for (int key = 0; key < static_cast<int>(sizes.size()); ++key) {
    const int64_t size = sizes[static_cast<size_t>(key)];
    local->Init(Ints{key}, {Filled(size, 1)});
    NDArray output({size});
    for (int round = 0; round < kRounds; ++round) {
      // A worker's devices are summed first, then the workers in rank order.
      std::vector<NDArray> contributions;
      for (int rank = 0; rank < static_cast<int>(shape.workers); ++rank) {
        auto values = Contribution(rank, round, key, shape.devices, size);
        for (size_t device = 1; device < values.size(); ++device) {
          for (int64_t i = 0; i < size; ++i) {
            values[0].data_as<float>()[i] += values[device].data_as<float>()[i];
          }
        }
        contributions.push_back(values[0]);
      }
      local->Push(Ints(contributions.size(), key), contributions);
    }
    local->Pull(Ints{key}, {&output});
    const Floats expected = Read(output);
    for (const auto& worker : weights) {
      CHECK(std::memcmp(worker[static_cast<size_t>(key)].data(), expected.data(),
                        expected.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("many small keys of one call travel in few messages", "[dist]") {
  DistCluster cluster({1, 1});
  constexpr int kKeys = 1000;
  CHECK(cluster.Run([&](KVStore& store, int) {
    Ints keys;
    std::vector<NDArray> values, outs;
    std::vector<NDArray*> outputs;
    for (int key = 0; key < kKeys; ++key) {
      keys.push_back(key);
      values.push_back(Array({static_cast<float>(key)}));
      outs.emplace_back(std::vector<int64_t>{1});
    }
    for (NDArray& out : outs) outputs.push_back(&out);
    const uint64_t at_start = cluster.network().messages();
    store.Init(keys, values);
    store.PushPull(keys, keys, values, outputs);
    store.WaitAll();
    const uint64_t messages = cluster.network().messages() - at_start;
    // One frame each way for the Init and for the PushPull; the servers may answer pushes and pulls
    // apart, and a heartbeat may come between.
    if (messages > 12) throw std::runtime_error(std::to_string(messages) + " messages");
    for (int key = 0; key < kKeys; ++key) {
      if (Read(outs[static_cast<size_t>(key)]) != Floats{static_cast<float>(key)}) {
        throw std::runtime_error("wrong value");
      }
    }
  }) == NothingThrown(1));
}

TEST_CASE("without the barrier before exit a worker ends its work, and leaves without the others",
          "[dist]") {
  using std::chrono::seconds;
  DistClusterOptions options{2, 1};
  options.operation_timeout_ms = 600000;  // of a barrier that nobody should wait for
  DistCluster cluster(options);
  std::promise<void> left;
  auto other = std::async(std::launch::async, [&, gone = left.get_future()] {
    const auto store = cluster.Join(1, "dist_async");
    store->Init(Ints{1}, {NDArray()});
    const bool in_time = gone.wait_for(seconds(60)) == std::future_status::ready;
    NDArray out({3});
    store->Pull(Ints{1}, {&out});
    out.WaitToRead();
    return in_time && out.data_as<float>()[2] == 12;
  });
  auto store = cluster.Join(0, "dist_async");
  store->SetOptimizer(OptimizerSpec("sum"));
  store->Init(Ints{1}, {Filled(3, 7)});
  store->Push(Ints{1}, {Filled(3, 5)});
  store->set_barrier_before_exit(false);
  store.reset();
  left.set_value();
  CHECK(other.get());
}

}  // namespace kvstore
