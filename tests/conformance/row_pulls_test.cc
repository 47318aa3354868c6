// PullRowSparse: the rows that were asked for.
#include <catch2/catch.hpp>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

const Dims kShape = {100, 2};

// A key whose row r is {r, -r}.
void InitNumberedRows(KVStore& store, int key) {
  const NDArray rows(kShape);
  for (int64_t row = 0; row < kShape[0]; ++row) {
    rows.data_as<float>()[2 * row] = static_cast<float>(row);
    rows.data_as<float>()[2 * row + 1] = static_cast<float>(-row);
  }
  store.Init(Ints{key}, {WithAllRows(rows)});
}
RowMap Numbered(const std::vector<int64_t>& ids) {
  RowMap rows;
  for (const int64_t id : ids) rows[id] = {static_cast<float>(id), static_cast<float>(-id)};
  return rows;
}

}  // namespace

TEST_CASE("PullRowSparse gives the rows that were asked for, ascending, each once", "[rowpulls]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {RowArray(kShape, {{0, {1, 1}}, {5, {2, 2}}, {99, {3, 3}}})});
    NDArray out = RowArray(kShape, {{1, {8, 8}}, {5, {8, 8}}});
    store.PullRowSparse(Ints{1}, {{&out, Ids({99, 5, 99, 3, 5})}});
    MUST_EQUAL(RowsIn(out), RowMap{{3, {0, 0}}, {5, {2, 2}}, {99, {3, 3}}});
    MUST_EQUAL(out.indices(), std::vector<int64_t>{3, 5, 99});
    // An output loses the rows that it had.
    store.PullRowSparse(Ints{1}, {{&out, Ids({0})}});
    MUST_EQUAL(RowsIn(out), RowMap{{0, {1, 1}}});
    store.PullRowSparse(Ints{1}, {{&out, NDArray()}});
    MUST(RowsIn(out).empty());
    MUST_EQUAL(out.bytes(), size_t{0});
  });
}

TEST_CASE("several outputs of a key each get their own rows; of one output the last stay",
          "[rowpulls]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    InitNumberedRows(store, 1);
    store.Init(Ints{2}, {NDArray::RowSparse(kShape)});
    NDArray a = NDArray::RowSparse(kShape), b = a, c = NDArray::RowSparse(kShape);
    NDArray d = RowArray(kShape, {{1, {8, 8}}});
    store.PullRowSparse(Ints{1, 2, 1, 1, 2}, {{&c, Ids({5})},
                                              {&d, Ids({5, 6})},
                                              {&a, Ids({1, 2, 3, 4})},
                                              {&b, Ids({99, 7, 7})},
                                              {&d, NDArray()}});
    MUST_EQUAL(RowsIn(c), Numbered({5}));
    MUST_EQUAL(RowsIn(a), Numbered({7, 99}));  // which is b
    MUST(RowsIn(d).empty());
  });
}

TEST_CASE("string keys pull rows as int keys do", "[rowpulls]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Strings{"e", "f"}, {WithAllRows(Filled(kShape, 3)), WithAllRows(Filled(kShape, 4))});
    NDArray a = NDArray::RowSparse(kShape), b = NDArray::RowSparse(kShape);
    store.PullRowSparse(Strings{"f", "e"}, {{&b, Ids({7, 8})}, {&a, Ids({1})}}, 5);
    MUST_EQUAL(RowsIn(a), RowMap{{1, {3, 3}}});
    MUST_EQUAL(RowsIn(b), RowMap{{7, {4, 4}}, {8, {4, 4}}});
  });
}

TEST_CASE("a pull of rows sees the pushes before it", "[rowpulls]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {NDArray::RowSparse(kShape)});
    NDArray out = NDArray::RowSparse(kShape);
    for (int n = 1; n <= 20; ++n) {
      store.Push(Ints{1}, {RowArray(kShape, {{n % 3, {1, 1}}, {50, {1, 2}}})}, n % 5);
      store.PullRowSparse(Ints{1}, {{&out, Ids({50})}}, -n);
      const float sum = static_cast<float>(n) * worker.all();
      MUST_EQUAL(RowsIn(out), RowMap{{50, {sum, 2 * sum}}});
    }
  });
}

TEST_CASE("row ids that are still being pulled are read when they are there", "[rowpulls]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    NDArray ids({2}, DataType::kInt32);
    ids.data_as<int32_t>()[0] = 3;
    ids.data_as<int32_t>()[1] = 4;
    InitNumberedRows(store, 1);
    store.Init(Ints{2}, {ids});
    NDArray pulled({2}, DataType::kInt32);
    NDArray out = NDArray::RowSparse(kShape);
    store.Pull(Ints{2}, {&pulled});
    store.PullRowSparse(Ints{1}, {{&out, pulled}});
    MUST_EQUAL(RowsIn(out), Numbered({3, 4}));
  });
}

TEST_CASE("arguments of PullRowSparse that do not fit are refused by name, and nothing is queued",
          "[rowpulls][errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    InitNumberedRows(store, 1);
    store.Init(Ints{2}, {Filled(kShape, 4)});
    NDArray out = RowArray(kShape, {{1, {8, 8}}});
    NDArray other = RowArray(kShape, {{1, {8, 8}}});
    NDArray dense(kShape);
    NDArray wide = NDArray::RowSparse({100, 3});
    NDArray ints = NDArray::RowSparse(kShape, DataType::kInt64);
    const NDArray ids = Ids({1});
    const auto pull = [&](int key, NDArray* output, const NDArray& row_ids) {
      store.PullRowSparse(Ints{1, key}, {{&other, ids}, {output, row_ids}});
    };
    MUST_THROW(pull(3, &out, ids), kNotFound, "key 3");
    MUST_THROW(pull(2, &out, ids), kInvalidArgument,
               "key 2: PullRowSparse: a key of storage row_sparse expected, got default");
    MUST_THROW(pull(1, &dense, ids), kInvalidArgument,
               "key 1: an output of storage row_sparse expected, got default");
    MUST_THROW(pull(1, nullptr, ids), kInvalidArgument, "key 1: an output expected, got null");
    MUST_THROW(pull(1, &wide, ids), kInvalidArgument, "shape [100,2] expected, got [100,3]");
    MUST_THROW(pull(1, &ints, ids), kInvalidArgument, "expected, got i64");
    MUST_THROW(pull(1, &out, out), kInvalidArgument,
               "key 1: row ids of storage default expected, got row_sparse");
    MUST_THROW(pull(1, &out, Ids({3, 100})), kOutOfRange,
               "key 1: row ids from 0 to 99 expected, got 100");
    MUST_THROW(pull(1, &out, Ids({-1})), kOutOfRange, "got -1");
    store.WaitAll();
    MUST_EQUAL(RowsIn(out), RowMap{{1, {8, 8}}});
    MUST_EQUAL(RowsIn(other), RowMap{{1, {8, 8}}});
    MUST_EQUAL(store.status(1), "OK");
  });
}

}  // namespace kvstore
