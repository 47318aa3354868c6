// What a cluster alone has: messages, and workers that leave while others stay.
#include <catch2/catch.hpp>
#include <chrono>
#include <future>

#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/must.h"

namespace kvstore {

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
      outs.emplace_back(Dims{1});
    }
    for (NDArray& out : outs) outputs.push_back(&out);
    const uint64_t at_start = cluster.network().messages();
    store.Init(keys, values);
    store.PushPull(keys, keys, values, outputs);
    store.WaitAll();
    const uint64_t messages = cluster.network().messages() - at_start;
    // One frame each way for the Init and for the PushPull; the servers may answer pushes and pulls
    // apart, and a heartbeat may come between.
    MUST(messages <= 12);
    for (int key = 0; key < kKeys; ++key) {
      MUST_EQUAL(Read(outs[static_cast<size_t>(key)]), Floats{static_cast<float>(key)});
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
