// Row-sparse keys and values: Init, Push, what Pull makes of them.
#include <catch2/catch.hpp>
#include <random>

#include "common/rows/row_cut.h"
#include "tests/conformance/store_under_test.h"
#include "tests/support/standard_error.h"

namespace kvstore {
namespace {

// Cut into one stripe, and into all of them.
const Dims kLow = {100, 64}, kHigh = {10000, 64};

Floats Row(const Dims& shape, float value) { return Floats(static_cast<size_t>(shape[1]), value); }
RowMap AllRows(const Dims& shape, float value) {
  RowMap rows;
  for (int64_t row = 0; row < shape[0]; ++row) rows[row] = Row(shape, value);
  return rows;
}

}  // namespace

TEST_CASE("a row_sparse key begins with all rows, some or none: rank 0's", "[rows][init]") {
  const Dims shape = GENERATE(kLow, kHigh);
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    const NDArray all = WithAllRows(Filled(shape, 3)), none = NDArray::RowSparse(shape);
    const NDArray some = RowArray(shape, {{2, Row(shape, 2)}, {99, Row(shape, 3)}});
    // Rank 1 brings nothing, in another order; rank 2 brings something else.
    if (worker.rank() == 0) store.Init(Ints{1, 2, 3}, {all, some, none});
    if (worker.rank() == 1) store.Init(Ints{3, 1, 2}, std::vector<NDArray>(3));
    if (worker.rank() == 2) store.Init(Ints{1, 2, 3}, {none, none, some});
    MUST(PullNonZeroRows(store, 1, shape) == AllRows(shape, 3));
    MUST(PullNonZeroRows(store, 2, shape) == RowMap{{2, Row(shape, 2)}, {99, Row(shape, 3)}});
    MUST(PullNonZeroRows(store, 3, shape).empty());
    MUST(PullRows(store, 2, shape, Ids({99, 5, 2})) ==
         RowMap{{2, Row(shape, 2)}, {5, Row(shape, 0)}, {99, Row(shape, 3)}});
    MUST_THROW(store.Push(Ints{1}, {NDArray::RowSparse({shape[0], 63})}), kInvalidArgument,
               "key 1: shape [");
  });
}

TEST_CASE("a worker whose storage differs from rank 0's is told", "[rows][init]") {
  const bool sparse_first = GENERATE(true, false);
  OnEvery(StoreOfSeveralWorkers, [&](Worker& worker) {
    KVStore& store = worker.store();
    const bool row_sparse = (worker.rank() == 0) == sparse_first;
    const NDArray value = row_sparse ? NDArray::RowSparse(kHigh) : NDArray(kHigh);
    if (worker.rank() == 0) {
      store.Init(Ints{1}, {value});
    } else {
      MUST_THROW(store.Init(Ints{1}, {value}), kInvalidArgument, "key 1");
    }
    store.Barrier();
  });
}

TEST_CASE("without an optimizer a round of rows is the sum alone: other rows are zero", "[rows]") {
  const Dims shape = GENERATE(kLow, kHigh);
  OnEvery(StoreWithRounds, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {RowArray(shape, {{9, Row(shape, 5)}})});
    store.Push(Ints{1}, {RowArray(shape, {{worker.rank(), Row(shape, 1)}, {70, Row(shape, 2)}})});
    RowMap sum = {{70, Row(shape, 2 * worker.all())}};
    for (int rank = 0; rank < worker.workers(); ++rank) sum[rank] = Row(shape, 1);
    MUST(worker.Rows(1, shape) == sum);
    // One worker's rows are enough, none at all is a sum too.
    const bool last = worker.rank() == worker.workers() - 1;
    store.Push(Ints{1}, {last ? RowArray(shape, {{3, Row(shape, 1)}}) : NDArray::RowSparse(shape)});
    MUST(worker.Rows(1, shape) == RowMap{{3, Row(shape, 1)}});
    store.Push(Ints{1}, {NDArray::RowSparse(shape)});
    MUST(worker.Rows(1, shape).empty());
  });
}

TEST_CASE("an optimizer moves the rows that are pushed, and no others", "[rows][optimizer]") {
  const Dims shape = GENERATE(kLow, kHigh);
  OnEvery(StoreWithOneOrder, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {WithAllRows(Filled(shape, 1))});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("wd", 1));
    store.Push(Ints{1}, {RowArray(shape, {{4, Row(shape, 2)}, {70, Row(shape, 0)}})});
    store.Push(Ints{1}, {NDArray::RowSparse(shape)});
    RowMap expected = AllRows(shape, 1);
    expected[4] = Row(shape, 1 - 0.5f * (2 * worker.all() + 1));  // w - 0.5 (g + w)
    expected[70] = Row(shape, 0.5f);                              // a row of zeros decays
    MUST(worker.Rows(1, shape) == expected);
  });
}

TEST_CASE("a row_sparse key has its own learning rate and weight decay", "[rows][optimizer]") {
  const Dims shape = GENERATE(kLow, kHigh);
  OnEvery(StoreWithOneOrder, [&](Worker& worker) {
    const RowMap ones = {{3, Row(shape, 1)}, {70, Row(shape, 1)}, {71, Row(shape, 1)}};
    worker.store().Init(Ints{1, 2}, {RowArray(shape, ones), RowArray(shape, ones)});
    OptimizerSpec optimizer = OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("wd", 1);
    worker.SetOptimizer(optimizer.SetLrMult(1, 0.5).SetWdMult(1, 2));
    const NDArray rows = RowArray(shape, {{3, Row(shape, 4)}, {70, Row(shape, 0)}});
    worker.store().Push(Ints{1, 2}, {rows, rows});
    const float g = 4 * worker.all();
    // w - 0.25 * (g + 2 w) and w - 0.5 * (g + w).
    MUST(worker.Rows(1, shape) ==
         RowMap{{3, Row(shape, 1 - 0.25f * (g + 2))}, {70, Row(shape, 0.5f)}, {71, Row(shape, 1)}});
    MUST(worker.Rows(2, shape) ==
         RowMap{{3, Row(shape, 1 - 0.5f * (g + 1))}, {70, Row(shape, 0.5f)}, {71, Row(shape, 1)}});
  });
}

TEST_CASE("values of either storage are one contribution, summed in list order", "[rows]") {
  const Dims shape = GENERATE(kLow, kHigh);
  OnEvery(StoreWithRounds, [&](Worker& worker) {
    KVStore& store = worker.store();
    constexpr int kSparse = 1, kDense = 2;
    store.Init(Ints{kSparse, kDense}, {NDArray::RowSparse(shape), NDArray(shape)});
    // In this order 0.25 is lost in 1e8.
    const std::vector<NDArray> values = {
        RowArray(shape, {{worker.rank(), Row(shape, 1)}, {50, Row(shape, 1e8f)}}),
        Filled(shape, 0.25f), RowArray(shape, {{50, Row(shape, -1e8f)}, {60, Row(shape, 2)}})};
    RowMap expected = AllRows(shape, 0.25f * worker.all());
    for (int rank = 0; rank < worker.workers(); ++rank) {
      expected[rank] = Row(shape, 1 + 0.25f * worker.all());
    }
    expected.erase(50);
    expected[60] = Row(shape, 2.25f * worker.all());
    for (const int key : {kSparse, kDense}) {
      store.Push(Ints(3, key), values);
      MUST(worker.Rows(key, shape) == expected);
    }
  });
}

TEST_CASE("a dense push is all rows of a row_sparse key, a row_sparse one is zero elsewhere",
          "[rows]") {
  const Dims shape = GENERATE(kLow, kHigh);
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    constexpr int kSparse = 1, kDense = 2;
    const int64_t last = shape[0] - 1;
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{kSparse, kDense}, {WithAllRows(Filled(shape, 1)), Filled(shape, 1)});
    const NDArray rows = RowArray(shape, {{3, Row(shape, 2)}, {last, Row(shape, 5)}});
    store.Push(Ints{kSparse, kDense}, {Filled(shape, 2), rows});
    store.Push(Ints{kDense, kDense}, {rows, RowArray(shape, {{5, Row(shape, 1)}})});
    MUST(worker.Rows(kSparse, shape) == AllRows(shape, 1 + 2 * worker.all()));
    RowMap expected = AllRows(shape, 1);
    expected[3] = Row(shape, 1 + 4 * worker.all());
    expected[5] = Row(shape, 1 + worker.all());
    expected[last] = Row(shape, 1 + 10 * worker.all());
    MUST(worker.Rows(kDense, shape) == expected);
    // In place: the dense value is the output.
    NDArray dense = Filled(shape, 3);
    store.PushPull(Ints{kSparse}, Ints{kSparse}, {dense}, {&dense});
    MUST(Read(dense).back() >= 1 + 2 * worker.all() + 3);
    MUST(worker.Rows(kSparse, shape) == AllRows(shape, 1 + 5 * worker.all()));
  });
}

TEST_CASE("Pull leaves row_sparse outputs alone", "[rows][pull]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const Dims shape = kLow;
    const RowMap rows = {{2, Row(shape, 1)}, {8, Row(shape, 0)}};
    store.Init(Ints{1, 2}, {RowArray(shape, rows), Filled(shape, 7)});
    NDArray out = RowArray(shape, {{1, Row(shape, 8)}});
    NDArray whole(shape);
    store.Pull(Ints{1, 2}, {&out, &out});
    store.Pull(Ints{1, 1}, {&out, &whole});
    store.WaitAll();
    MUST(RowsIn(out) == RowMap{{1, Row(shape, 8)}});
    MUST(NonZeroRowsIn(whole) == RowMap{{2, Row(shape, 1)}});
    // Unless it is told otherwise, which stores of one process take.
    if (worker.kind().dist()) {
      MUST_THROW(store.Pull(Ints{1}, {&out}, 0, false), kInvalidArgument, "ignore_sparse");
      return;
    }
    store.Pull(Ints{1}, {&out}, 0, /*ignore_sparse=*/false);
    MUST(RowsIn(out) == RowMap{{2, Row(shape, 1)}});  // rows that are zero are not held
    store.Pull(Ints{2}, {&out}, 0, /*ignore_sparse=*/false);
    MUST(RowsIn(out) == AllRows(shape, 7));
  });
}

TEST_CASE("PushPull and Broadcast leave row_sparse outputs alone", "[rows][pull]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const Dims shape = kLow;
    NDArray out = RowArray(shape, {{1, Row(shape, 8)}});
    NDArray whole(shape);
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Broadcast(Ints{1}, Ints{1, 1}, {WithAllRows(Filled(shape, 1))}, {&out, &whole});
    MUST(NonZeroRowsIn(whole) == AllRows(shape, 1));
    worker.Settle();
    store.PushPull(Ints{1}, Ints{1}, {WithAllRows(Filled(shape, 2))}, {&out});
    MUST(worker.Rows(1, shape) == AllRows(shape, 1 + 2 * worker.all()));
    MUST(RowsIn(out) == RowMap{{1, Row(shape, 8)}});
  });
}

TEST_CASE("row_sparse outputs that are left alone are told once per key, by each store",
          "[rows][pull]") {
  OnEvery(StoreOfOneWorker, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    const Dims shape = kLow;
    const std::string log = StandardErrorOf([&] {
      NDArray out = NDArray::RowSparse(shape);
      store.Broadcast(Ints{1}, Ints{1}, {NDArray::RowSparse(shape)}, {&out});
      store.Pull(Ints{1, 1}, {&out, &out});
      store.PushPull(Ints{1}, Ints{1}, {NDArray::RowSparse(shape)}, {&out});
      store.Init(Ints{2}, {NDArray::RowSparse(shape)});
      store.PushPull(Ints{2}, Ints{2}, {NDArray::RowSparse(shape)}, {&out});
      store.Pull(Ints{2}, {&out});
    });
    MUST_EQUAL(CountOf("key 1: Pull leaves outputs of storage row_sparse alone", log), size_t{1});
    MUST_EQUAL(CountOf("key 2: PushPull leaves outputs of storage row_sparse alone", log),
               size_t{1});
    MUST_EQUAL(CountOf("leaves outputs of storage row_sparse alone: use PullRowSparse", log),
               size_t{2});
  });
}

TEST_CASE("contributions of many fragments, and rows that fill one, arrive whole", "[rows]") {
  // Rows of 400 kB, of which two fit an entry, and of the greatest width.
  const int64_t width = GENERATE(int64_t{100000}, int64_t{kRowBytesMax / 4});
  const Dims shape = {200, width};
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {NDArray::RowSparse(shape)});
    worker.SetOptimizer(OptimizerSpec("sum"));
    RowMap rows, expected;
    const std::vector<int64_t> ids = {7, 11, 68, 129, 190};  // all in stripe 7 but one
    for (const int64_t row : ids) {
      rows[row] = Row(shape, static_cast<float>(row * (worker.rank() + 1)));
      expected[row] = Row(shape, static_cast<float>(2 * row) * worker.all_ranks());
    }
    for (int n = 0; n < 2; ++n) store.Push(Ints{1}, {RowArray(shape, rows)});
    MUST(worker.Rows(1, shape, ids) == expected);
  });
}

TEST_CASE("an Init of many fragments is whole", "[rows][init]") {
  const Dims shape = {30000, 64}, wide = {150, 25000};  // stripes of 126 kB; rows of 100 kB
  RowMap rows;
  for (int64_t row = 1; row < shape[0]; ++row) rows[row] = Row(shape, static_cast<float>(row));
  const NDArray tall_rows = RowArray(shape, rows), wide_rows = WithAllRows(Filled(wide, 1));
  OnEvery(Store, [&](Worker& worker) {
    const bool first = worker.rank() == 0;
    worker.store().Init(Ints{1, 2}, {first ? tall_rows : NDArray(), first ? wide_rows : NDArray()});
    MUST(PullNonZeroRows(worker.store(), 1, shape) == rows);
    MUST(PullFrom(worker.store(), 2, wide) == Floats(150 * 25000, 1));
  });
}

TEST_CASE("a tall table takes memory for its rows only", "[rows]") {
  const Dims shape = {int64_t{1} << 30, 64};  // 256 GiB
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {NDArray::RowSparse(shape)});
    worker.SetOptimizer(OptimizerSpec("sum"));
    const int64_t last = shape[0] - 1;
    store.Push(Ints{1, 1},
               {RowArray(shape, {{worker.rank(), Row(shape, 1)}, {last, Row(shape, 2)}}),
                RowArray(shape, {{last, Row(shape, 1)}})});
    RowMap expected = {{last / 2, Row(shape, 0)}, {last, Row(shape, 3 * worker.all())}};
    std::vector<int64_t> ids = {last, last / 2};
    for (int rank = 0; rank < worker.workers(); ++rank) {
      ids.push_back(rank);
      expected[rank] = Row(shape, 1);
    }
    MUST(worker.Rows(1, shape, ids) == expected);
  });
}

TEST_CASE("random pushes and pulls of rows agree with a map of rows", "[rows]") {
  const auto seed = GENERATE(1u, 2u, 3u);
  CAPTURE(seed);
  OnEvery(StoreOfOneWorker, [&](Worker& worker) {
    std::mt19937_64 random(seed);
    const Dims shape = {97, 3};
    KVStore& store = worker.store();
    store.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("momentum", 0.25));
    const auto random_rows = [&] {
      RowMap rows;
      for (uint64_t n = random() % 30; n > 0; --n) {
        Floats& row = rows[static_cast<int64_t>(random() % 97)];
        row = {static_cast<float>(random() % 1000) / 7, -1, static_cast<float>(random() % 3)};
      }
      return rows;
    };
    RowMap weights = random_rows(), momenta;
    store.Init(Ints{1}, {RowArray(shape, weights)});
    for (int step = 0; step < 100; ++step) {
      std::vector<NDArray> values;
      RowMap sum;
      for (uint64_t n = 1 + random() % 3; n > 0; --n) {
        const RowMap rows = random_rows();
        values.push_back(RowArray(shape, rows));
        for (const auto& [row, value] : rows) {
          const auto [place, is_new] = sum.try_emplace(row, value);
          for (size_t i = 0; i < 3 && !is_new; ++i) place->second[i] += value[i];
        }
      }
      for (const auto& [row, gradient] : sum) {
        Floats& w = weights[row];
        Floats& m = momenta[row];
        w.resize(3);
        m.resize(3);
        for (size_t i = 0; i < 3; ++i) {
          const float g = gradient[i] + 0 * w[i];
          m[i] = 0.25f * m[i] - 0.5f * g;
          w[i] = w[i] + m[i];
        }
      }
      store.Push(Ints(values.size(), 1), values);
      RowMap asked;
      std::vector<int64_t> ids;
      for (uint64_t n = random() % 50; n > 0; --n) {
        ids.push_back(static_cast<int64_t>(random() % 97));
        const auto row = weights.find(ids.back());
        asked[ids.back()] = row == weights.end() ? Floats(3) : row->second;
      }
      MUST_EQUAL(PullRows(store, 1, shape, Ids(ids)), asked);
    }
  });
}

TEST_CASE("row_sparse arrays that do not fit the key are refused by name", "[rows][errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const Dims shape = {10, 2};
    store.Init(Ints{1}, {WithAllRows(Filled(shape, 3))});
    const NDArray wide = NDArray::RowSparse({10, 3});
    NDArray doubles = NDArray::RowSparse(shape, DataType::kFloat64);
    MUST_THROW(store.Push(Ints{1}, {wide}), kInvalidArgument,
               "key 1: shape [10,2] expected, got [10,3]");
    MUST_THROW(store.Push(Ints{1}, {doubles}), kInvalidArgument,
               "key 1: dtype f32 expected, got f64");
    MUST_THROW(store.Push(Ints{1}, {NDArray()}), kInvalidArgument, "got an empty one");
    if (!worker.kind().dist()) {  // the others leave the output alone, or refuse ignore_sparse
      NDArray ints = NDArray::RowSparse(shape, DataType::kInt32);
      MUST_THROW(store.Pull(Ints{1}, {&ints}, 0, false), kInvalidArgument, "expected, got i32");
    }
    MUST_THROW(store.Init(Ints{1}, {NDArray::RowSparse(shape)}), kAlreadyExists, "key 1");
    MUST_THROW(store.Init(Ints{4}, {NDArray::RowSparse({10, (1 << 18) - 1})}), kInvalidArgument,
               "key 4: row_sparse rows of at most 1048568 bytes expected, got 1048572");
    store.Init(Ints{4}, {NDArray::RowSparse({10, (1 << 18) - 2})});
    MUST(PullNonZeroRows(store, 1, shape) == AllRows(shape, 3));
  });
}

}  // namespace kvstore
