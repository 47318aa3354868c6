// Calls of many small keys, which a dist store begins in groups: each key is as if it were alone.
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

constexpr int kKeys = 600;

// Keys 0 to kKeys - 1 of three elements, which are zeros.
struct SmallKeys {
  explicit SmallKeys(Worker& worker) : store(worker.store()) {
    std::vector<NDArray> zeros;
    for (int key = 0; key < kKeys; ++key) {
      keys.push_back(key);
      zeros.push_back(Array({0, 0, 0}));
      pulled.push_back(Array({0, 0, 0}));
    }
    for (NDArray& output : pulled) outputs.push_back(&output);
    store.Init(keys, zeros);
  }

  // What a worker pushes to a key in a round.
  static Floats Pushed(int key, int round, float factor) {
    return {static_cast<float>(key) * factor, static_cast<float>(round) * factor, factor};
  }

  KVStore& store;
  Ints keys;
  std::vector<NDArray> pulled;
  std::vector<NDArray*> outputs;
};

}  // namespace

TEST_CASE("each of many small keys gets its own value, round by round", "[small]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    SmallKeys small(worker);
    const auto factor = static_cast<float>(worker.rank() + 1);
    std::vector<NDArray> values;
    for (int round = 1; round <= 3; ++round) {
      values.clear();  // what is pushed need not be kept
      for (const int key : small.keys) {
        values.push_back(Array(SmallKeys::Pushed(key, round, factor)));
      }
      small.store.Push(small.keys, values);
      small.store.Pull(small.keys, small.outputs);
      for (const int key : small.keys) {
        const NDArray& output = small.pulled[static_cast<size_t>(key)];
        output.WaitToRead();
        MUST_EQUAL(Read(output), SmallKeys::Pushed(key, round, worker.all_ranks()));
      }
    }
  });
}

TEST_CASE("small keys that are pulled and pushed on keep the order of the calls", "[small]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    SmallKeys small(worker);
    std::vector<NDArray> ones;
    for (int key = 0; key < kKeys; ++key) ones.push_back(Array({1, 1, 1}));
    small.store.Push(small.keys, ones);
    // What is pulled is pushed, without a wait between: the value is that of all workers squared.
    for (int round = 0; round < 3; ++round) {
      small.store.Pull(small.keys, small.outputs);
      small.store.Push(small.keys, small.pulled);
    }
    small.store.Pull(small.keys, small.outputs);
    small.store.WaitAll();
    const float value = worker.all() * worker.all() * worker.all() * worker.all();
    for (const NDArray& output : small.pulled) MUST_EQUAL(Read(output), Floats(3, value));
  });
}

TEST_CASE("of small keys that share an output the last one of the list counts", "[small]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    Ints keys;
    std::vector<NDArray> values;
    for (int key = 0; key < 50; ++key) {
      keys.push_back(key);
      values.push_back(Array({static_cast<float>(key)}));
    }
    store.Init(keys, values);
    NDArray shared = Array({-1}), own = Array({-1});
    std::vector<NDArray*> outputs(keys.size(), &shared);
    outputs[20] = &own;
    store.Pull(keys, outputs);
    store.WaitAll();
    MUST_EQUAL(Read(shared), Floats{49});
    MUST_EQUAL(Read(own), Floats{20});
  });
}

TEST_CASE("who waits for one of many small keys waits for no other", "[small]") {
  const auto several = [](const StoreKind& kind) { return kind.rounds && kind.workers > 1; };
  OnEvery(several, [](Worker& worker) {
    SmallKeys small(worker);
    constexpr int kEarly = 17;
    std::vector<NDArray> values;
    for (int key = 0; key < kKeys; ++key) values.push_back(Array({1, 1, 1}));
    Ints others;
    for (const int key : small.keys) {
      if (key != kEarly) others.push_back(key);
    }
    if (worker.rank() == 0) {
      small.store.Push(small.keys, values);
      small.store.Pull(small.keys, small.outputs);
    } else {
      small.store.Push(Ints{kEarly}, {values[0]});
    }
    // The rounds of the others stay open until all have met.
    small.store.Wait(Ints{kEarly});
    if (worker.rank() == 0) {
      small.pulled[kEarly].WaitToRead();
      MUST_EQUAL(Read(small.pulled[kEarly]), Floats(3, worker.all()));
    }
    worker.Meet();
    if (worker.rank() != 0) {
      values.pop_back();
      small.store.Push(others, values);
    }
    small.store.WaitAll();
    if (worker.rank() == 0) {
      for (const NDArray& output : small.pulled) MUST_EQUAL(Read(output), Floats(3, worker.all()));
    }
  });
}

}  // namespace kvstore
