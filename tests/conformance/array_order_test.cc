// The order of operations that touch the same arrays and keys, as programs see it.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/conformance/store_under_test.h"

namespace kvstore {

TEST_CASE("an array pulled into and then pushed is pushed after the pull", "[order]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {Array({0}), Array({0})});
    NDArray x({1});
    float first = 0, second = 0;
    for (int i = 1; i <= 20; ++i) {
      store.Push(Ints{1}, {Array({1})});
      first += worker.all();
      store.Pull(Ints{1}, {&x});
      store.Push(Ints{2}, {x});
      second += worker.all() * first;
      store.Pull(Ints{2}, {&x});
      if (i % 7 == 0) MUST_EQUAL(Read(x), Floats{second});
    }
    MUST_EQUAL(Read(x), Floats{second});
  });
}

TEST_CASE("arrays over one pointer are ordered as one, also between stores", "[order]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    const auto other = KVStore::CreateUnique("local");
    Floats bytes(4);
    NDArray a = NDArray::FromBlob(bytes.data(), {4}), b = NDArray::FromBlob(bytes.data(), {2, 2});
    worker.SetOptimizer(OptimizerSpec("sum"));
    worker.store().Init(Ints{1}, {Filled(4, 0)});
    other->Init(Ints{1}, {Filled(Dims{2, 2}, 0)});
    for (int i = 1; i <= 50; ++i) {
      worker.store().Push(Ints{1}, {Filled(4, 1)});
      worker.store().Pull(Ints{1}, {&a});
      other->Push(Ints{1}, {b});
    }
    MUST_EQUAL(PullFrom(*other, 1, Dims{2, 2}), Floats(4, 50 * worker.all()));
    // And the other way round: the store under test pushes what the other one filled.
    other->Pull(Ints{1}, {&b});
    worker.store().Push(Ints{1}, {a});
    MUST_EQUAL(worker.Value(1, 4), Floats(4, 50 * worker.all() + 50 * worker.all() * worker.all()));
  });
}

TEST_CASE("a pull sees the pushes before it, whatever their priorities", "[order]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    constexpr int kKeys = 6;
    std::vector<NDArray> outputs;
    for (int key = 0; key < kKeys; ++key) {
      store.Init(Ints{key}, {Filled(kSeveralParts, 0)});
      outputs.emplace_back(Dims{kSeveralParts});
    }
    for (int round = 1; round <= 3; ++round) {
      for (int key = 0; key < kKeys; ++key) {
        // Later keys are more urgent, and pulls more than pushes.
        store.Push(Ints{key}, {Filled(kSeveralParts, static_cast<float>(key + 1))}, key - 3);
        store.Pull(Ints{key}, {&outputs[static_cast<size_t>(key)]}, key + 100);
      }
      for (int key = 0; key < kKeys; ++key) {
        MUST(Read(outputs[static_cast<size_t>(key)]) ==
             Floats(kSeveralParts, static_cast<float>(round * (key + 1)) * worker.all()));
      }
    }
  });
}

TEST_CASE("FromBlob's memory is filled in place and given back when the last handle is gone",
          "[order]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Filled(kSeveralParts, 0)});
    Floats memory(kSeveralParts, 1);
    std::atomic<int> given_back{0};
    NDArray blob = NDArray::FromBlob(memory.data(), {kSeveralParts}, DataType::kFloat32,
                                     Context::Cpu(), [&](void*) { ++given_back; });
    store.Push(Ints{1}, {blob});
    worker.Settle();
    store.Pull(Ints{1}, {&blob});
    blob.WaitToWrite();
    MUST(memory == Floats(kSeveralParts, worker.all()));
    MUST_EQUAL(given_back.load(), 0);
    store.Pull(Ints{1}, {&blob});
    blob = NDArray();
    store.WaitAll();
    // The operation's own handle goes when the operation does, on whichever thread that is.
    while (given_back.load() == 0) std::this_thread::yield();
    MUST_EQUAL(given_back.load(), 1);
  });
}

}  // namespace kvstore
