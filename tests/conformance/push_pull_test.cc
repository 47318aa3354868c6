// Push, Pull, PushPull: sums of values, several outputs, several keys of one call.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/conformance/store_under_test.h"

namespace kvstore {

TEST_CASE("without an optimizer a round's sum becomes the value", "[push]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Array({5, 5})});
    for (int round = 1; round <= 3; ++round) {
      const auto f = static_cast<float>(round * (worker.rank() + 1));
      store.Push(Ints{1}, {Array({f, 1})});
      MUST_EQUAL(worker.Value(1, 2),
                 Floats{static_cast<float>(round) * worker.all_ranks(), worker.all()});
    }
  });
}

TEST_CASE("a push is copied or sent before its array may be written", "[push]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    worker.store().Init(Ints{1}, {Filled(kSeveralParts, 0)});
    const NDArray pushed = Filled(kSeveralParts, 4);
    worker.store().Push(Ints{1}, {pushed});
    pushed.SyncCopyFromCPU(Floats(kSeveralParts, 99).data(), kSeveralParts);
    MUST(worker.Value(1, kSeveralParts) == Floats(kSeveralParts, 4 * worker.all()));
    // The value never aliases the array.
    pushed.SyncCopyFromCPU(Floats(kSeveralParts, 98).data(), kSeveralParts);
    MUST(worker.Value(1, kSeveralParts) == Floats(kSeveralParts, 4 * worker.all()));
  });
}

TEST_CASE("values of one key are summed as a left fold in list order", "[push]") {
  const Which which = [](const StoreKind& kind) {
    return StoreWithRounds(kind) && StoreWithTheListsOrder(kind);
  };
  OnEvery(which, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {Array({0}), Array({0})});
    const Floats values = {1e8f, 3.0f, -1e8f, 0.1f};
    std::vector<NDArray> forth, back;
    for (const float v : values) forth.push_back(Array({v}));
    back.assign(forth.rbegin(), forth.rend());
    store.Push(Ints(4, 1), forth);
    store.Push(Ints(4, 2), back);
    // Other orders give other bits: this cannot pass by chance.
    const float one_forth = ((values[0] + values[1]) + values[2]) + values[3];
    const float one_back = ((values[3] + values[2]) + values[1]) + values[0];
    MUST(one_forth != one_back);
    float all_forth = one_forth, all_back = one_back;
    for (int rank = 1; rank < worker.workers(); ++rank) {
      all_forth += one_forth;
      all_back += one_back;
    }
    MUST_EQUAL(worker.Value(1, 1), Floats{all_forth});
    MUST_EQUAL(worker.Value(2, 1), Floats{all_back});
  });
}

TEST_CASE("contributions are folded in rank order, whoever comes first", "[push]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    const Floats of_rank = {1e8f, 3.0f, -1e8f};
    worker.store().Init(Ints{1}, {Filled(kSeveralParts, 0)});
    float sum = of_rank[0];
    for (int rank = 1; rank < worker.workers(); ++rank) sum += of_rank[static_cast<size_t>(rank)];
    const NDArray own = Filled(kSeveralParts, of_rank[static_cast<size_t>(worker.rank())]);
    for (int round = 0; round < 5; ++round) {
      worker.store().Push(Ints{1}, {own});
      MUST(worker.Value(1, kSeveralParts) == Floats(kSeveralParts, sum));
    }
  });
}

TEST_CASE("a fold starts from the first value: -0.0 stays", "[push]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    worker.store().Init(Ints{1}, {Array({1})});
    worker.store().Push(Ints{1, 1}, {Array({-0.0f}), Array({-0.0f})});
    MUST(std::signbit(worker.Value(1, 1)[0]));
  });
}

TEST_CASE("a sum over devices is in every pull behind it", "[push]") {
  // The sum is made on another thread than the one that calls: the pull must not overtake it.
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    worker.SetOptimizer(OptimizerSpec("sum"));
    worker.store().Init(Ints{1}, {Filled(kSeveralParts, 0)});
    NDArray out({kSeveralParts});
    for (int n = 1; n <= 5; ++n) {
      const auto f = static_cast<float>(n);
      worker.store().Push(Ints{1, 1}, {Filled(kSeveralParts, 1), Filled(kSeveralParts, 2)});
      worker.store().Pull(Ints{1}, {&out});
      MUST(Read(out) == Floats(kSeveralParts, 3 * f * worker.all()));
    }
  });
}

TEST_CASE("keys of one call keep their own values, whatever the order of the lists", "[push]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {Array({0}), Array({0})});
    store.Push(Ints{2, 1, 2, 1}, {Array({1}), Array({10}), Array({2}), Array({20})});
    worker.Settle();
    NDArray a({1}), b({1}), c({1});
    store.Pull(Ints{2, 1, 2}, {&a, &b, &c});
    MUST_EQUAL(Read(a), Floats{3 * worker.all()});
    MUST_EQUAL(Read(b), Floats{30 * worker.all()});
    MUST_EQUAL(Read(c), Floats{3 * worker.all()});
  });
}

TEST_CASE("keys of a long call keep their own values, also those that come twice", "[push]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    KVStore& store = worker.store();
    constexpr int kKeys = 700;  // more than are queued at a time
    Ints once, twice;
    std::vector<NDArray> zeros, pushed, pulled;
    for (int key = 0; key < kKeys; ++key) {
      once.push_back(key);
      zeros.push_back(Array({0}));
    }
    store.Init(once, zeros);
    // Every third key comes again, far behind.
    twice = once;
    for (int key = 0; key < kKeys; key += 3) twice.push_back(key);
    for (size_t i = 0; i < twice.size(); ++i) {
      pushed.push_back(Array({static_cast<float>(i)}));
      pulled.push_back(Array({-1}));
    }
    std::vector<NDArray*> outputs;
    for (NDArray& output : pulled) outputs.push_back(&output);
    store.Push(twice, pushed);
    store.Pull(twice, outputs);
    store.WaitAll();
    for (size_t i = 0; i < twice.size(); ++i) {
      const auto key = static_cast<float>(twice[i]);
      const float again = twice[i] % 3 == 0 ? static_cast<float>(kKeys) + key / 3 : 0;
      MUST_EQUAL(Read(pulled[i]), Floats{(key + again) * worker.all()});
    }
  });
}

TEST_CASE("the same array may be pushed several times in a call, and pulled into twice", "[push]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {Array({0, 0}), Array({5, 6})});
    const NDArray one = Array({1, 2});
    store.Push(Ints{1, 1, 2, 1}, {one, one, one, one});
    worker.Settle();
    NDArray out({2});
    store.Pull(Ints{1, 1}, {&out, &out});
    MUST_EQUAL(Read(out), Floats{3 * worker.all(), 6 * worker.all()});
    store.Pull(Ints{2}, {&out});
    MUST_EQUAL(Read(out), Floats{5 + worker.all(), 6 + 2 * worker.all()});
    MUST_EQUAL(Read(one), Floats{1, 2});
  });
}

TEST_CASE("PushPull gives the value with the push in it, also in place", "[pushpull]") {
  const int64_t elements = GENERATE(int64_t{3}, kSeveralParts);
  OnEvery(StoreWithRounds, [&](Worker& worker) {
    KVStore& store = worker.store();
    const auto size = static_cast<size_t>(elements);
    store.Init(Ints{1, 2}, {Filled(elements, 0), Filled(elements, 0)});
    const NDArray value = Filled(elements, static_cast<float>(worker.rank() + 1));
    for (int round = 1; round <= 5; ++round) {
      const auto f = static_cast<float>(round);
      NDArray in_place = Filled(elements, f * static_cast<float>(worker.rank() + 1));
      NDArray out({elements});
      store.PushPull(Ints{1, 2}, Ints{1, 2}, {in_place, value}, {&in_place, &out});
      MUST(Read(in_place) == Floats(size, f * worker.all_ranks()));
      MUST(Read(out) == Floats(size, worker.all_ranks()));
      value.WaitToWrite();
      MUST(Read(value) == Floats(size, static_cast<float>(worker.rank() + 1)));
    }
  });
}

TEST_CASE("PushPull takes lists of values and of outputs, of the same keys", "[pushpull]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {Array({0, 0}), Array({0})});
    NDArray a = Array({1, 2}), b = Array({10, 20}), c = Array({5});
    store.PushPull(Ints{1, 1, 2}, {2, 1, 1}, {a, b, c}, {&c, &a, &b});
    if (worker.kind().rounds) {
      MUST_EQUAL(Read(a), Floats{11 * worker.all(), 22 * worker.all()});
      MUST_EQUAL(Read(b), Read(a));
      MUST_EQUAL(Read(c), Floats{5 * worker.all()});
    } else {
      MUST(Read(a)[0] >= 11);  // its own push is in it, others may be
      MUST(Read(c)[0] >= 5);
    }
    MUST_EQUAL(worker.Value(1, 2), Floats{11 * worker.all(), 22 * worker.all()});
    MUST_EQUAL(worker.Value(2, 1), Floats{5 * worker.all()});
    MUST_THROW(store.PushPull(Ints{1}, {2}, {a}, {&c}), kInvalidArgument,
               "PushPull: the same keys expected in both lists, key 1 is only pushed");
    MUST_THROW(store.PushPull(Ints{1}, {1, 2}, {a}, {&a, &c}), kInvalidArgument,
               "PushPull: the same keys expected in both lists");
    MUST_EQUAL(worker.Value(2, 1), Floats{5 * worker.all()});
  });
}

TEST_CASE("string keys push and pull as int keys do", "[push][pushpull]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    const Strings keys = {"conv1/weight", "17"};
    store.Init(keys, {Array({1}), Array({2})});
    store.Push(Strings{"17", "17", "conv1/weight"}, {Array({1}), Array({2}), Array({4})}, 3);
    worker.Settle();
    NDArray a({1}), b({1});
    store.Pull(keys, {&a, &b}, -2);
    store.Wait(keys);
    MUST_EQUAL(Read(a), Floats{1 + 4 * worker.all()});
    MUST_EQUAL(Read(b), Floats{2 + 3 * worker.all()});
    MUST_EQUAL(store.status("17"), "OK");
  });
}

TEST_CASE("a worker that never pushed a key sees what is there and waits for nobody", "[pull]") {
  OnEvery(StoreOfSeveralWorkers, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Array({5})});
    if (worker.rank() > 0) store.Push(Ints{1}, {Array({1})});
    if (worker.rank() == 0) {
      const float seen = PullFrom(store, 1, 1)[0];
      // A round lacks rank 0's contribution; without rounds any of the others' pushes may be in it.
      MUST(worker.kind().rounds ? seen == 5 : seen >= 5 && seen < 5 + worker.all());
      store.Push(Ints{1}, {Array({1})});
    }
    MUST_EQUAL(worker.Value(1, 1), Floats{5 + worker.all()});
  });
}

TEST_CASE("a worker may run ahead: its n-th push is in round n", "[push]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Filled(kSeveralParts, 0)});
    constexpr int kRounds = 8;
    std::vector<NDArray> outputs;
    for (int round = 0; round < kRounds; ++round) outputs.emplace_back(Dims{kSeveralParts});
    // Nothing is waited for; rank 0 begins when the others have queued all.
    if (worker.rank() == 0) store.Barrier();
    for (int round = 0; round < kRounds; ++round) {
      NDArray* const out = &outputs[static_cast<size_t>(round)];
      store.Push(Ints{1}, {Filled(kSeveralParts, static_cast<float>(round))});
      store.Pull(Ints{1}, {out});
    }
    if (worker.rank() != 0) store.Barrier();
    for (int round = 0; round < kRounds; ++round) {
      MUST(Read(outputs[static_cast<size_t>(round)]) ==
           Floats(kSeveralParts, static_cast<float>(round) * worker.all()));
    }
  });
}

}  // namespace kvstore
