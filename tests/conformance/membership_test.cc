// A worker among others: who it is, where all meet, how it goes; what becomes of a forked child.
#include <catch2/catch.hpp>
#include <functional>

#include "tests/conformance/store_under_test.h"
#include "tests/support/forked_child.h"

namespace kvstore {

TEST_CASE("ranks, sizes and the type are those of the store", "[membership]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    MUST_EQUAL(store.get_rank(), worker.rank());
    MUST_EQUAL(store.get_group_size(), worker.workers());
    MUST_EQUAL(store.type(), worker.kind().type);
    MUST_EQUAL(store.get_num_dead_node(kScheduler + kServerGroup + kWorkerGroup), 0);
    MUST_EQUAL(store.get_num_dead_node(kWorkerGroup, 1), 0);
    MUST(store.barrier_before_exit());
    store.Step();
    store.Barrier();
  });
}

TEST_CASE("nobody passes a barrier before all have come", "[membership]") {
  OnEvery(Store, [](Worker& worker) {
    for (int round = 1; round <= 20; ++round) {
      ++worker.counter();
      worker.store().Barrier();
      MUST(worker.counter() >= round * worker.workers());
    }
  });
}

TEST_CASE("after Leave only the destructor may follow", "[membership]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    NDArray array = Array({1});
    store.Init(Ints{1}, {array});
    store.Leave();
    const std::vector<std::function<void()>> calls = {
        [&] { store.Init(Ints{2}, {array}); },
        [&] { store.Push(Ints{1}, {array}); },
        [&] { store.Pull(Ints{1}, {&array}); },
        [&] { store.PushPull(Ints{1}, {1}, {array}, {&array}); },
        [&] { store.Broadcast(Ints{2}, {2}, {array}, {&array}); },
        [&] { store.SetOptimizer(OptimizerSpec("sum")); },
        [&] { store.set_updater(KVStore::Updater()); },
        [&] { store.SendCommandToServers(7, ""); },
        [&] { store.Barrier(); },
        [&] { store.Step(); },
        [&] { store.Wait(Ints{1}); },
        [&] { store.WaitAll(); },
        [&] { store.Leave(); },
    };
    for (const auto& call : calls) MUST_THROW(call(), kFailedPrecondition, "left");
  });
}

TEST_CASE("a worker that leaves is not waited for any more", "[membership]") {
  OnEvery(StoreOfSeveralWorkers, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Filled(kSeveralParts, 0)});
    store.Push(Ints{1}, {Filled(kSeveralParts, 1)});
    MUST(worker.Value(1, kSeveralParts) == Floats(kSeveralParts, worker.all()));
    if (worker.rank() == 1) return store.Leave();
    for (int n = 1; n <= 3; ++n) {
      store.Push(Ints{1}, {Filled(kSeveralParts, 1)});
      const float sum = worker.all() + static_cast<float>(n) * (worker.all() - 1);
      MUST(worker.Value(1, kSeveralParts) == Floats(kSeveralParts, sum));
    }
    store.Barrier();
  });
}

TEST_CASE("a worker may end its work and go without meeting the others", "[membership]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.set_barrier_before_exit(false);
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Array({0})});
    store.Push(Ints{1}, {Array({1})});
    // Higher ranks are gone before lower ones.
    for (int rank = worker.workers() - 1; rank >= 0; --rank) {
      if (rank == worker.rank()) worker.DestroyStore();
      worker.Meet();
    }
  });
}

TEST_CASE("commands go to servers that have a controller; without servers they are nothing",
          "[membership]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    if (!worker.kind().dist()) {
      store.SendCommandToServers(7, "grow");
      store.SendCommandToServers(-1, "grow");
      return;
    }
    const std::string last =
        "server " + std::to_string(worker.kind().servers - 1) + " (";  // all are named
    MUST_THROW(store.SendCommandToServers(7, ""), kUnimplemented, "command 7");
    MUST_THROW(store.SendCommandToServers(7, ""), kUnimplemented, last);
    MUST_THROW(store.SendCommandToServers(-1, ""), kInvalidArgument, "got -1");
    MUST_THROW(store.SendCommandToServers(2, ""), kInvalidArgument, "kStopServer");
    MUST_THROW(store.SendCommandToServers(5, ""), kInvalidArgument, "kSetProfilerParams");
    MUST_THROW(store.SendCommandToServers(7, std::string((1 << 20) + 1, 'x')), kInvalidArgument,
               "a body of at most 1048576 bytes expected, got 1048577");
    MUST_THROW(store.SendCommandToServers(7, std::string(1 << 20, 'x')), kUnimplemented,
               "a controller expected");  // it fits a frame
  });
}

TEST_CASE("in a forked child every call is refused, and the parent goes on", "[membership]") {
  OnEvery(StoreOfOneWorker, [](Worker& worker) {
    KVStore& store = worker.store();
    NDArray array = Array({1});
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {array});
    MUST_EQUAL(InForkedChild([&] {
                 const int refused = FirstNotRefused({
                     [&] { store.Init(Ints{3}, {array}); },
                     [&] { store.Push(Ints{1}, {array}); },
                     [&] { store.Pull(Ints{1}, {&array}); },
                     [&] { store.PushPull(Ints{1}, {1}, {array}, {&array}); },
                     [&] { store.Broadcast(Ints{3}, {3}, {array}, {&array}); },
                     [&] { store.Wait(Ints{1}); },
                     [&] { store.WaitAll(); },
                     [&] { store.Barrier(); },
                     [&] { store.Leave(); },
                     [&] { store.SetOptimizer(OptimizerSpec("sum")); },
                     [&] { store.set_updater(KVStore::Updater()); },
                     [&] { store.SendCommandToServers(7, ""); },
                     [&] { (void)store.get_rank(); },
                     [&] { (void)store.get_group_size(); },
                     [&] { (void)store.get_num_dead_node(kWorkerGroup); },
                 });
                 worker.DestroyStore();  // does nothing
#ifndef KVS_TSAN                         // ThreadSanitizer allows a forked child no threads
                 const auto own = KVStore::CreateUnique("local");
                 own->Init(Ints{1}, {array});
                 own->WaitAll();
#endif
                 return refused;
               }),
               0);
    store.Push(Ints{1}, {array});
    MUST_EQUAL(worker.Value(1, 1), Floats{2});
    store.Barrier();
  });
}

}  // namespace kvstore
