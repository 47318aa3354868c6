// Stores without rounds (dist_async, dist_ssp:<s>): every push is an update of its own, exactly
// once, in its worker's order; and with a bound on staleness nobody sees a value that is older.
#include <catch2/catch.hpp>

#include "tests/conformance/store_under_test.h"

namespace kvstore {

TEST_CASE("asynchronous pushes all count once, and a worker sees its own at once", "[async]") {
  OnEvery(StoreWithoutRounds, [](Worker& worker) {
    constexpr int kPushes = 40;
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {Filled(5, 100), Filled(kSeveralParts, 0)});
    worker.SetOptimizer(OptimizerSpec("sum"));
    const NDArray one = Filled(5, 1);
    const NDArray large = Filled(kSeveralParts, static_cast<float>(worker.rank() + 1));
    NDArray small_out({5}), large_out({kSeveralParts});
    float before = 0;
    for (int n = 1; n <= kPushes; ++n) {
      store.Push(Ints{1, 2}, {one, large});
      store.Pull(Ints{1, 2}, {&small_out, &large_out});
      const float now = Read(small_out)[0];
      // Its own n pushes are in it; values never go back, whoever pushes.
      MUST(now >= 100 + static_cast<float>(n));
      MUST(now >= before);
      before = now;
    }
    MUST_EQUAL(worker.Value(1, 5), Floats(5, 100 + kPushes * worker.all()));
    MUST(worker.Value(2, kSeveralParts) == Floats(kSeveralParts, kPushes * worker.all_ranks()));
  });
}

TEST_CASE("an asynchronous push before an updater is set is refused and changes nothing",
          "[async]") {
  OnEvery(StoreWithoutRounds, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{7}, {Filled(3, 4)});
    store.Push(Ints{7}, {Filled(3, 1)});
    MUST_THROW(store.Wait(Ints{7}), kFailedPrecondition, "SetOptimizer");
    MUST_EQUAL(worker.Value(7, 3), Floats(3, 4));
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Push(Ints{7}, {Filled(3, 1)});
    MUST_EQUAL(worker.Value(7, 3), Floats(3, 4 + worker.all()));
  });
}

TEST_CASE("asynchronous pushes of rows all count once", "[async][rows]") {
  const Dims shape = {GENERATE(int64_t{100}, 10000), 64};
  const auto row = [](float value) { return Floats(64, value); };
  OnEvery(StoreWithoutRounds, [&](Worker& worker) {
    constexpr int kPushes = 21;
    KVStore& store = worker.store();
    store.Init(Ints{1}, {RowArray(shape, {{50, row(100)}})});
    worker.SetOptimizer(OptimizerSpec("sum"));
    for (int n = 1; n <= kPushes; ++n) {
      store.Push(Ints{1}, {RowArray(shape, {{worker.rank(), row(1)}, {50 + n % 3, row(1)}})});
      store.Push(Ints{1}, {NDArray::RowSparse(shape)});  // nothing
      MUST(PullRows(store, 1, shape, Ids({worker.rank()})) ==
           RowMap{{worker.rank(), row(static_cast<float>(n))}});
    }
    RowMap expected;
    for (int r = 0; r < worker.workers(); ++r) expected[r] = row(kPushes);
    expected[50] = row(100 + 7 * worker.all());
    expected[51] = expected[52] = row(7 * worker.all());
    MUST(worker.Rows(1, shape) == expected);
  });
}

TEST_CASE("an asynchronous push without rows is nothing, whatever the key's storage",
          "[async][rows]") {
  const bool row_sparse = GENERATE(false, true);
  CAPTURE(row_sparse);
  const Dims shape = {10000, 64};  // several parts
  const auto row = [](float value) { return Floats(64, value); };
  OnEvery(StoreThatSkipsEmptyPushes, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {row_sparse ? NDArray::RowSparse(shape) : NDArray(shape)});
    const NDArray nothing = NDArray::RowSparse(shape);
    // Before SetOptimizer, too.
    store.Push(Ints{1}, {nothing});
    store.Wait(Ints{1});
    // A momentum would go on moving the value by an update of zeros.
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("momentum", 0.5));
    const bool pushes = worker.rank() == 0;
    if (pushes) store.Push(Ints{1}, {RowArray(shape, {{7, row(1)}})});
    const RowMap once = {{7, row(-0.5f)}};
    MUST(worker.Rows(1, shape) == once);
    store.Push(Ints{1}, {nothing});
    MUST(worker.Rows(1, shape) == once);
    store.Push(Ints{1, 1}, {nothing, nothing});
    MUST(worker.Rows(1, shape) == once);
    NDArray out(shape);
    store.PushPull(Ints{1}, Ints{1}, {nothing}, {&out});
    MUST(NonZeroRowsIn(out) == once);  // what is left of a PushPull is the Pull
    worker.Settle();
    // One value with a row is enough.
    if (pushes) store.Push(Ints{1, 1}, {nothing, RowArray(shape, {{7, row(1)}})});
    MUST(worker.Rows(1, shape) == RowMap{{7, row(-1.25f)}});  // the momentum, and one more
  });
}

TEST_CASE("after n pushes of its own a worker's value has n - s of everybody's", "[async][ssp]") {
  OnEvery(StoreWithBound, [](Worker& worker) {
    constexpr int kPushes = 60;
    KVStore& store = worker.store();
    const auto bound = static_cast<int>(worker.kind().staleness);
    store.Init(Ints{3, 2}, {Filled(7, 0), Filled(kSeveralParts, 0)});
    worker.SetOptimizer(OptimizerSpec("sum"));
    // Each worker adds to an element of its own, so that the value says how many pushes it has of
    // whom.
    const auto mine = [&](int64_t elements) {
      Floats values(static_cast<size_t>(elements), 0);
      values[static_cast<size_t>(worker.rank())] = 1;
      values[values.size() - 1 - static_cast<size_t>(worker.rank())] = 1;
      return Array(values);
    };
    const NDArray small = mine(7), large = mine(kSeveralParts);
    NDArray small_out({7}), large_out({kSeveralParts});
    for (int n = 1; n <= kPushes; ++n) {
      store.Push(Ints{3, 2}, {small, large});
      store.Pull(Ints{3, 2}, {&small_out, &large_out});
      const Floats first = Read(small_out);
      const Floats parts = Read(large_out);
      store.Wait(Ints{3, 2});
      MUST(store.staleness(3) <= static_cast<uint64_t>(bound));
      MUST(store.staleness(2) <= static_cast<uint64_t>(bound));
      for (size_t rank = 0; rank < static_cast<size_t>(worker.workers()); ++rank) {
        const auto least = static_cast<float>(n - bound);
        MUST(first[rank] >= least);
        MUST(parts[rank] >= least);                     // of the first part
        MUST(parts[parts.size() - 1 - rank] >= least);  // of the last one
        MUST(static_cast<float>(n) - first[rank] <= static_cast<float>(store.staleness(3)));
      }
    }
  });
}

TEST_CASE("a push without rows counts for those who wait", "[async][ssp][rows]") {
  OnEvery(StoreWithBound, [](Worker& worker) {
    const Dims shape = {10000, 64};
    KVStore& store = worker.store();
    store.Init(Ints{1}, {NDArray::RowSparse(shape)});
    worker.SetOptimizer(OptimizerSpec("sum"));
    const Floats ones(64, 1);
    for (int n = 0; n < 12; ++n) {
      // Whose turn it is brings a row, all others bring nothing.
      const bool turn = n % worker.workers() == worker.rank();
      store.Push(Ints{1}, {turn ? RowArray(shape, {{n, ones}}) : NDArray::RowSparse(shape)});
      PullRows(store, 1, shape, Ids({n}));
    }
    RowMap expected;
    for (int n = 0; n < 12; ++n) expected[n] = ones;
    MUST(worker.Rows(1, shape) == expected);
  });
}

}  // namespace kvstore
