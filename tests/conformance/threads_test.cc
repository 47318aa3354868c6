// One store used by several threads of its process. Calls are ordered as they arrive.
#include <catch2/catch.hpp>
#include <exception>
#include <functional>
#include <thread>

#include "tests/conformance/store_under_test.h"
#include "tests/support/only_races.h"

namespace kvstore {
namespace {

using testing::kOnlyRaces;

// Runs `body(0)` to `body(count - 1)` at once; throws what the first of them threw.
void AtOnce(int count, const std::function<void(int n)>& body) {
  Meeting start(count);
  std::vector<std::exception_ptr> thrown(static_cast<size_t>(count));
  std::vector<std::thread> threads;
  for (int n = 0; n < count; ++n) {
    threads.emplace_back([&, n] {
      start.Arrive();
      try {
        body(n);
      } catch (...) {
        thrown[static_cast<size_t>(n)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : thrown) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

}  // namespace

TEST_CASE("pushes and pulls of several threads all take effect", "[threads]") {
  OnEvery(Store, [](Worker& worker) {
    constexpr int kThreads = 4, kPushes = 50;
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{0, 1, 2}, {Array({0}), Array({0}), Array({0})});
    AtOnce(kThreads, [&](int t) {
      NDArray out({1});
      float before = 0;
      for (int i = 0; i < kPushes; ++i) {
        store.Push(Ints{0, 1, 2}, {Array({1}), Array({2}), Array({3})}, t);
        store.Pull(Ints{i % 3}, {&out});
        if (i % 10 != 0) continue;
        store.Pull(Ints{0}, {&out});
        const float now = Read(out)[0];
        MUST(now > before);  // its own pushes are in it, and values never go back
        before = now;
      }
    });
    const float sum = kThreads * kPushes * worker.all();
    MUST_EQUAL(worker.Value(0, 1), Floats{sum});
    MUST_EQUAL(worker.Value(1, 1), Floats{2 * sum});
    MUST_EQUAL(worker.Value(2, 1), Floats{3 * sum});
  });
}

TEST_CASE("threads that wait at once each hear that all is done", "[threads]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Filled(kSeveralParts, 0)});
    NDArray out({kSeveralParts});
    store.PushPull(Ints{1}, {1}, {Filled(kSeveralParts, 1)}, {&out});
    AtOnce(4, [&](int n) {
      if (n == 0) store.WaitAll();
      if (n == 1) store.Wait(Ints{1});
      if (n == 2) out.WaitToRead();
      if (n == 3) out.WaitToWrite();
      MUST(out.data_as<float>()[kSeveralParts - 1] >= 1);
    });
  });
}

TEST_CASE("of two threads that initialise a key at once one has made it", "[threads][init]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    for (int key = 1; key <= (kOnlyRaces ? 8 : 20); ++key) {
      std::atomic<int> made{0}, refused{0};
      std::atomic<float> value{0};
      AtOnce(2, [&](int n) {
        const auto own = static_cast<float>(n + 1);
        try {
          store.Init(Ints{key}, {Filled(kSeveralParts, own)});
          ++made;
          value = own;
        } catch (const Error& error) {
          if (error.code() != ErrorCode::kAlreadyExists) throw;
          ++refused;
        }
      });
      MUST_EQUAL(made.load(), 1);
      MUST_EQUAL(refused.load(), 1);
      const Floats now = PullFrom(store, key, kSeveralParts);
      MUST(now == Floats(kSeveralParts, now[0]));
      if (worker.rank() == 0) MUST_EQUAL(now[0], value.load());
    }
  });
}

TEST_CASE("threads may initialise keys of their own at once", "[threads][init]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    constexpr int kThreads = 4, kKeys = 10;
    AtOnce(kThreads, [&](int n) {
      for (int i = 0; i < kKeys; ++i) {
        const int key = n * kKeys + i;
        store.Init(Ints{key}, {Array({static_cast<float>(key)})});
        MUST_EQUAL(PullFrom(store, key, 1), Floats{static_cast<float>(key)});
      }
    });
    for (int key = 0; key < kThreads * kKeys; ++key) {
      MUST_EQUAL(PullFrom(store, key, 1), Floats{static_cast<float>(key)});
    }
  });
}

TEST_CASE("of two threads that set an optimizer at once one wins everywhere",
          "[threads][optimizer]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    // Parts on every shard of every server.
    constexpr int64_t kManyParts = (1 << 18) * 9 + 17;
    const auto n_parts = static_cast<size_t>(kManyParts);
    store.Init(Ints{1}, {Filled(kManyParts, 0)});
    float expected = 0;
    for (int round = 0; round < (kOnlyRaces ? 2 : 5); ++round) {
      AtOnce(2, [&](int n) {
        store.SetOptimizer(OptimizerSpec("test").Set("rescale_grad", n == 0 ? 1.0 : 1000.0));
      });
      store.Barrier();
      store.Push(Ints{1}, {Filled(kManyParts, 1)});
      const Floats value = worker.Value(1, kManyParts);
      MUST(value == Floats(n_parts, value[0]));
      const float added = value[0] - expected;
      MUST(added == worker.all() || added == 1000 * worker.all());
      expected = value[0];
      store.Barrier();
    }
  });
}

TEST_CASE("an Init beside a SetOptimizer gets the optimizer that is set",
          "[threads][optimizer][init]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    for (int key = 1; key <= (kOnlyRaces ? 5 : 10); ++key) {
      const double scale = key;
      AtOnce(2, [&](int n) {
        if (n == 0) store.SetOptimizer(OptimizerSpec("test").Set("rescale_grad", scale));
        if (n == 1) store.Init(Ints{key}, {Filled(kSeveralParts, 1)});
      });
      store.Barrier();
      store.Push(Ints{key}, {Filled(kSeveralParts, 1)});
      MUST(worker.Value(key, kSeveralParts) ==
           Floats(kSeveralParts, 1 + static_cast<float>(scale) * worker.all()));
      store.Barrier();
    }
  });
}

}  // namespace kvstore
