// Arrays with a dimension of 0 are values like any other: they have a shape, and take part in every
// call, although no byte of them exists.
#include <catch2/catch.hpp>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

// Pulls `key` and checks that there is nothing in it.
void MustHoldNothing(Worker& worker, int key, const Dims& shape) {
  MUST_EQUAL(worker.Value(key, shape), Floats{});
}

}  // namespace

TEST_CASE("a value without elements is pushed and pulled like any other", "[push][pull][shapes]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const Dims flat = {0}, deep = {3, 0, 2};
    store.Init(Ints{1, 2, 3}, {NDArray(flat), NDArray(deep), Array({1})});
    MustHoldNothing(worker, 1, flat);
    worker.SetOptimizer(OptimizerSpec("sum"));
    for (int round = 0; round < 3; ++round) {
      NDArray none(deep);
      NDArray out(flat), other(flat);
      store.Push(Ints{1, 3, 1}, {NDArray(flat), Array({1}), NDArray(flat)});
      store.Pull(Ints{1, 1}, {&out, &other});
      store.PushPull(Ints{2}, {2}, {none}, {&none});
    }
    store.WaitAll();
    worker.Meet();
    MUST_EQUAL(worker.Value(3, 1), Floats{1 + 3 * worker.all()});
    MUST_THROW(store.Push(Ints{1}, {NDArray(deep)}), kInvalidArgument,
               "key 1: shape [0] expected, got [3,0,2]");
    MUST_THROW(store.Push(Ints{1}, {Array({1})}), kInvalidArgument, "got [1]");
    MUST_EQUAL(store.status(1), "OK");
  });
}

TEST_CASE("optimizers, compression and empty Inits take a value without elements", "[shapes]") {
  const std::string optimizer = GENERATE("sgd", "adam", "assign");
  const std::string codec = GENERATE("none", "2bit", "topk");
  OnEvery(StoreWithRounds, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression({{"type", codec}});
    const bool knows = worker.rank() == 0 || !worker.kind().dist();
    store.Init(Ints{1}, {knows ? NDArray({0, 4}) : NDArray()});
    worker.SetOptimizer(OptimizerSpec(optimizer));
    for (int round = 0; round < 2; ++round) store.Push(Ints{1}, {NDArray({0, 4})});
    MustHoldNothing(worker, 1, {0, 4});
  });
}

TEST_CASE("a table without rows takes pushes and pulls of no row", "[rows][shapes]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const Dims shape = {0, 4};
    store.Init(Ints{1}, {NDArray::RowSparse(shape)});
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Push(Ints{1}, {NDArray::RowSparse(shape)});
    store.Push(Ints{1}, {NDArray(shape)});
    NDArray rows = NDArray::RowSparse(shape);
    store.PullRowSparse(Ints{1}, {{&rows, NDArray()}});
    rows.WaitToRead();
    MUST(rows.indices().empty());
    MustHoldNothing(worker, 1, shape);
    MUST_THROW(store.PullRowSparse(Ints{1}, {{&rows, Ids({0})}}), kOutOfRange, "got 0");
    MUST_EQUAL(rows.bytes(), size_t{0});
  });
}

TEST_CASE("an updater of the user sees the value without elements", "[updater][shapes]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {NDArray({2, 0})});
    Dims seen;
    store.set_updater([&](int, const NDArray& merged, NDArray* stored) {
      seen = merged.shape();
      MUST_EQUAL(stored->size(), int64_t{0});
    });
    store.Push(Ints{1, 1}, {NDArray({2, 0}), NDArray({2, 0})});
    store.WaitAll();
    MUST_EQUAL(seen, Dims({2, 0}));
  });
}

TEST_CASE("rows without elements are refused where the array is made", "[rows][shapes][errors]") {
  const auto make = [] { return NDArray::RowSparse({5, 0}); };
  CHECK_THROWS_WITH(make(), Catch::Contains("a row_sparse array: rows of at least one element "
                                            "expected, got shape [5,0]"));
}

}  // namespace kvstore
