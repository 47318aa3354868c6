// dist_async: every push is an update of its own, exactly once, in its worker's order.
#include <catch2/catch.hpp>

#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/expect_error.h"
#include "tests/support/must.h"

namespace kvstore {
TEST_CASE("asynchronous pushes all count once, and a worker sees its own at once",
          "[dist][async]") {
  const auto type = GENERATE(as<std::string>(), "dist_async", "dist_device_async");
  CAPTURE(type);
  constexpr int kPushes = 40;
  constexpr uint32_t kWorkers = 3;
  DistCluster cluster({kWorkers, 2, 2});
  CHECK(cluster.Run(
            [&](KVStore& store, int rank) {
              store.Init(Ints{1, 2}, {Filled(5, 100), Filled(kSeveralParts, 0)});
              store.SetOptimizer(OptimizerSpec("sum"));
              store.Barrier();
              const NDArray one = Filled(5, 1);
              const NDArray large = Filled(kSeveralParts, static_cast<float>(rank + 1));
              NDArray small_out({5});
              NDArray large_out({kSeveralParts});
              float before = 0;
              for (int n = 1; n <= kPushes; ++n) {
                store.Push(Ints{1, 2}, {one, large});
                store.Pull(Ints{1, 2}, {&small_out, &large_out});
                const float now = Read(small_out)[0];
                // Its own n pushes are in it; values never go back, whoever pushes.
                if (now < 100 + static_cast<float>(n) || now < before) {
                  throw std::runtime_error("a push of its own is missing");
                }
                before = now;
              }
              store.WaitAll();
              store.Barrier();
              store.Pull(Ints{1, 2}, {&small_out, &large_out});
              if (Read(small_out)[0] != 100 + kPushes * kWorkers) {
                throw std::runtime_error("the pushes of all expected");
              }
              large_out.WaitToRead();
              for (int64_t i = 0; i < kSeveralParts; ++i) {
                if (large_out.data_as<float>()[i] != kPushes * (1 + 2 + 3)) {
                  throw std::runtime_error("a part lost or repeated a push");
                }
              }
            },
            type) == NothingThrown(kWorkers));
}

TEST_CASE("an asynchronous push before an updater is set is refused and changes nothing",
          "[dist][async]") {
  DistCluster cluster({1, 2});
  CHECK(cluster.Run(
            [&](KVStore& store, int) {
              store.Init(Ints{7}, {Filled(3, 4)});
              store.Push(Ints{7}, {Filled(3, 1)});
              MUST_THROW(store.Wait(Ints{7}), kFailedPrecondition, "SetOptimizer");
              NDArray out({3});
              store.Pull(Ints{7}, {&out});
              if (Read(out)[0] != 4) throw std::runtime_error("the value changed");
            },
            "dist_async") == NothingThrown(1));
}

TEST_CASE("one worker's asynchronous pushes take effect in its order", "[dist][async]") {
  DistCluster cluster({1, 1});
  CHECK(cluster.Run(
            [&](KVStore& store, int) {
              store.Init(Ints{7}, {Filled(3, 0)});
              // Decay and momentum make the result depend on the order.
              store.SetOptimizer(
                  OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("wd", 1).Set("momentum", 0.5));
              const auto local = KVStore::CreateUnique("local");
              local->Init(Ints{7}, {Filled(3, 0)});
              local->SetOptimizer(
                  OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("wd", 1).Set("momentum", 0.5));
              for (int n = 0; n < 30; ++n) {
                const NDArray gradient = Filled(3, static_cast<float>(n % 7) - 2.5f);
                store.Push(Ints{7}, {gradient});
                local->Push(Ints{7}, {gradient});
              }
              NDArray out({3}), expected({3});
              store.Pull(Ints{7}, {&out});
              local->Pull(Ints{7}, {&expected});
              if (Read(out)[0] != Read(expected)[0]) throw std::runtime_error("another order");
            },
            "dist_async") == NothingThrown(1));
}

}  // namespace kvstore
