// Row-sparse values on the stores of a cluster.
#include <catch2/catch.hpp>
#include <random>

#include "common/rows/row_cut.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/meeting.h"
#include "tests/support/must.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

using Ints = std::vector<int>;
using Shape = std::vector<int64_t>;

void MustBe(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what);
}

RowMap PullRows(KVStore& store, int key, const std::vector<int64_t>& ids, const Shape& shape) {
  NDArray out = NDArray::RowSparse(shape);
  store.PullRowSparse(Ints{key}, {{&out, Ids(ids)}});
  return RowsIn(out);
}
RowMap PullAll(KVStore& store, int key, const Shape& shape) {
  NDArray out(shape);
  store.Pull(Ints{key}, {&out});
  return NonZeroRowsIn(out);
}
std::vector<float> Row(const Shape& shape, float value) {
  return std::vector<float>(static_cast<size_t>(shape[1]), value);
}

// A row_sparse array of random bytes that are numbers, of up to `most` rows.
NDArray RandomRows(std::mt19937_64& random, const Shape& shape, DataType dtype, uint64_t most) {
  std::map<int64_t, bool> rows;
  for (uint64_t n = random() % (most + 1); n > 0; --n) {
    rows[static_cast<int64_t>(random() % static_cast<uint64_t>(shape[0]))] = true;
  }
  std::vector<int64_t> ids;
  for (const auto& [row, is_there] : rows) ids.push_back(row);
  if (ids.empty()) return NDArray::RowSparse(shape, dtype);
  const size_t elements = ids.size() * static_cast<size_t>(shape[1]);
  const testing::Bytes bytes =
      testing::DTypeOracle(static_cast<DType>(dtype)).Random(random, elements);
  NDArray data({static_cast<int64_t>(ids.size()), shape[1]}, dtype);
  std::copy(bytes.begin(), bytes.end(), data.data_as<uint8_t>());
  return NDArray::RowSparse(shape, std::move(ids), data);
}

testing::Bytes BytesOf(const NDArray& array) {
  array.WaitToRead();
  return testing::Bytes(array.data_as<uint8_t>(), array.data_as<uint8_t>() + array.bytes());
}

// What worker `rank` pushes in round `round` of a run that the seed names: rows, none, or all.
NDArray Contribution(uint64_t seed, int rank, int round, const Shape& shape, DataType dtype) {
  std::mt19937_64 random(seed * 1000003 + static_cast<uint64_t>(rank * 1000 + round));
  if (random() % 5 != 0) return RandomRows(random, shape, dtype, 200);
  if (random() % 2 == 0) return NDArray::RowSparse(shape, dtype);
  const auto elements = static_cast<size_t>(shape[0] * shape[1]);
  NDArray dense(shape, dtype);
  const testing::Bytes bytes =
      testing::DTypeOracle(static_cast<DType>(dtype)).Random(random, elements);
  std::copy(bytes.begin(), bytes.end(), dense.data_as<uint8_t>());
  return dense;
}

}  // namespace

TEST_CASE("a dist store gives rows the bits of local given its workers' contributions",
          "[dist][rows]") {
  struct Size {
    uint32_t workers, servers, shards;
    std::string type = "dist_sync";
  };
  const auto size = GENERATE(Size{1, 1, 1}, Size{2, 1, 2}, Size{3, 2, 1}, Size{2, 3, 2},
                             Size{5, 5, 1}, Size{1, 2, 2, "dist_async"});
  struct Kind {
    DataType dtype;
    OptimizerSpec rule;
  };
  const auto kind =
      GENERATE(Kind{DataType::kFloat32, OptimizerSpec("sgd").Set("momentum", 0.9)},
               Kind{DataType::kFloat64, OptimizerSpec("adam").Set("wd", 0.01)},
               Kind{DataType::kFloat16, OptimizerSpec("adagrad").Set("multi_precision", 1)},
               Kind{DataType::kBFloat16, OptimizerSpec("ftrl")});
  const DataType dtype = kind.dtype;
  // Of one stripe and of 61.
  const Shape shape = {1501, GENERATE(int64_t{7}, 400)};
  const uint64_t seed = size.servers;
  constexpr int kRounds = 6;
  CAPTURE(size.type, size.workers, size.servers, size.shards, DataTypeName(dtype), shape[1], seed);
  std::mt19937_64 random(seed);
  const NDArray initial = RandomRows(random, shape, dtype, 300);

  const auto local = KVStore::CreateUnique("local");
  local->Init(Ints{1}, {initial});
  local->SetOptimizer(kind.rule);
  std::vector<testing::Bytes> expected;
  NDArray whole(shape, dtype);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<NDArray> values;
    for (int rank = 0; rank < static_cast<int>(size.workers); ++rank) {
      values.push_back(Contribution(seed, rank, round, shape, dtype));
    }
    // An asynchronous push without rows is nothing; local's is an update, which adam counts.
    if (size.type == "dist_sync" || values[0].bytes() > 0) {
      local->Push(Ints(size.workers, 1), values);
    }
    local->Pull(Ints{1}, {&whole});
    expected.push_back(BytesOf(whole));
  }

  DistCluster cluster({size.workers, size.servers, size.shards});
  const auto row_bytes = static_cast<size_t>(shape[1]) * DataTypeBytes(dtype);
  CHECK(cluster.Run(
            [&](KVStore& store, int rank) {
              store.Init(Ints{1}, {rank == 0 ? initial : NDArray()});
              if (rank == 0) store.SetOptimizer(kind.rule);
              store.Barrier();
              NDArray out(shape, dtype);
              NDArray rows = NDArray::RowSparse(shape, dtype);
              const std::vector<int64_t> ids = {0, 17, 700, 701, 702, 1500};
              for (int round = 0; round < kRounds; ++round) {
                store.Push(Ints{1}, {Contribution(seed, rank, round, shape, dtype)});
                store.PullRowSparse(Ints{1}, {{&rows, Ids(ids)}});
                store.Pull(Ints{1}, {&out});
                const testing::Bytes& right = expected[static_cast<size_t>(round)];
                MustBe(BytesOf(out) == right, "the bits of round " + std::to_string(round));
                const testing::Bytes got = BytesOf(rows);
                MustBe(rows.indices() == ids, "the rows that were asked for");
                for (size_t i = 0; i < ids.size(); ++i) {
                  const auto row = right.begin() + static_cast<std::ptrdiff_t>(ids[i] * row_bytes);
                  MustBe(std::equal(row, row + static_cast<std::ptrdiff_t>(row_bytes),
                                    got.begin() + static_cast<std::ptrdiff_t>(i * row_bytes)),
                         "the bits of a row");
                }
              }
            },
            size.type) == NothingThrown(size.workers));
}

TEST_CASE("without an optimizer a round of rows is the sum alone", "[dist][rows]") {
  const Shape shape = {GENERATE(int64_t{100}, 10000), 64};
  DistCluster cluster({2, 3});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {RowArray(shape, {{9, Row(shape, 5)}})});
    MustBe(PullAll(store, 1, shape) == RowMap{{9, Row(shape, 5)}}, "the initial value");
    store.Push(Ints{1}, {RowArray(shape, {{rank, Row(shape, 1)}, {70, Row(shape, 2)}})});
    MustBe(PullAll(store, 1, shape) ==
               RowMap{{0, Row(shape, 1)}, {1, Row(shape, 1)}, {70, Row(shape, 4)}},
           "the sum");
    // One worker's rows are enough, none at all is a sum too.
    store.Push(Ints{1},
               {rank == 0 ? NDArray::RowSparse(shape) : RowArray(shape, {{3, Row(shape, 1)}})});
    MustBe(PullAll(store, 1, shape) == RowMap{{3, Row(shape, 1)}}, "the sum of one");
    store.Push(Ints{1}, {NDArray::RowSparse(shape)});
    MustBe(PullAll(store, 1, shape).empty(), "the sum of none");
  }) == NothingThrown(2));
}

TEST_CASE("a worker that gave Init an empty array learns that the key is row_sparse",
          "[dist][rows]") {
  const Shape shape = {GENERATE(int64_t{100}, 10000), 64};
  DistCluster cluster({3, 2});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    // All rows, some, none: rank 0's count.
    const NDArray none = NDArray::RowSparse(shape);
    const NDArray some = RowArray(shape, {{2, Row(shape, 2)}, {99, Row(shape, 3)}});
    if (rank == 0) store.Init(Ints{1, 2}, {some, none});
    if (rank == 1) store.Init(Ints{2, 1}, {NDArray(), NDArray()});
    if (rank == 2) store.Init(Ints{1, 2}, {RowArray(shape, {{5, Row(shape, 9)}}), some});
    MustBe(PullRows(store, 1, {99, 5, 2}, shape) ==
               RowMap{{2, Row(shape, 2)}, {5, Row(shape, 0)}, {99, Row(shape, 3)}},
           "rank 0's rows");
    MustBe(PullAll(store, 2, shape).empty(), "no rows");
    MUST_THROW(store.Push(Ints{1}, {NDArray::RowSparse({shape[0], 63})}), kInvalidArgument,
               "key 1: shape [");
    store.Barrier();
  }) == NothingThrown(3));
}

TEST_CASE("a worker whose storage differs from rank 0's is told", "[dist][rows]") {
  const Shape shape = {10000, 64};
  DistCluster cluster({2, 2});
  const bool sparse_first = GENERATE(true, false);
  const auto thrown = cluster.Run([&](KVStore& store, int rank) {
    const bool row_sparse = (rank == 0) == sparse_first;
    store.Init(Ints{1}, {row_sparse ? NDArray::RowSparse(shape) : NDArray(shape)});
  });
  CHECK_THAT(thrown[1], Catch::Contains("key 1") && Catch::Contains("expected"));
}

TEST_CASE("contributions of many fragments, and rows that fill one, arrive whole", "[dist][rows]") {
  // Rows of 400 kB, of which two fit an entry, and of the greatest width.
  const int64_t width = GENERATE(int64_t{100000}, int64_t{kRowBytesMax / 4});
  const Shape shape = {200, width};
  DistCluster cluster({2, 2, 2});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {NDArray::RowSparse(shape)});
    if (rank == 0) store.SetOptimizer(OptimizerSpec("sum"));
    store.Barrier();
    RowMap rows, expected;
    // All in stripe 7, and one elsewhere.
    for (const int64_t row : {7, 68, 129, 190, 11}) {
      rows[row] = Row(shape, static_cast<float>(row * (rank + 1)));
      expected[row] = Row(shape, static_cast<float>(row * 6));  // two rounds
    }
    for (int round = 0; round < 2; ++round) store.Push(Ints{1}, {RowArray(shape, rows)});
    MustBe(PullRows(store, 1, {7, 68, 129, 190, 11}, shape) == expected, "the sum of two rounds");
  }) == NothingThrown(2));
}

TEST_CASE("an Init of many fragments is whole", "[dist][rows]") {
  const Shape shape = {30000, 64};  // 7.7 MB: a stripe of 126 kB; and in rows of 100 kB
  DistCluster cluster({2, 3});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    const Shape wide = {150, 25000};
    RowMap rows, wide_rows;
    for (int64_t row = 0; row < shape[0]; ++row) rows[row] = Row(shape, static_cast<float>(row));
    for (int64_t row = 0; row < wide[0]; ++row) wide_rows[row] = Row(wide, 1);
    store.Init(Ints{1, 2}, {rank == 0 ? RowArray(shape, rows) : NDArray(),
                            rank == 0 ? RowArray(wide, wide_rows) : NDArray()});
    rows.erase(0);  // is zero
    MustBe(PullAll(store, 1, shape) == rows, "all rows");
    MustBe(PullAll(store, 2, wide) == wide_rows, "all wide rows");
  }) == NothingThrown(2));
}

TEST_CASE("values of either storage of several devices are one contribution", "[dist][rows]") {
  const Shape shape = {GENERATE(int64_t{100}, 10000), 64};
  DistCluster cluster({2, 2});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {NDArray::RowSparse(shape)});
    NDArray dense(shape);
    std::fill_n(dense.data_as<float>(), dense.size(), 0.25f);
    store.Push(Ints{1, 1, 1}, {RowArray(shape, {{rank, Row(shape, 1)}, {50, Row(shape, 1e8f)}}),
                               dense, RowArray(shape, {{50, Row(shape, -1e8f)}})});
    RowMap expected;
    for (int64_t row = 0; row < shape[0]; ++row) expected[row] = Row(shape, 0.5f);
    expected[0] = expected[1] = Row(shape, 1.5f);
    expected.erase(50);  // 0.25 is lost in 1e8
    MustBe(PullAll(store, 1, shape) == expected, "the folds in list order");
    // In place: the dense value is the output.
    store.PushPull(Ints{1}, Ints{1}, {dense}, {&dense});
    dense.WaitToRead();
    MustBe(dense.data_as<float>()[0] == 0.5f && dense.data_as<float>()[dense.size() - 1] == 0.5f,
           "in place");
  }) == NothingThrown(2));
}

TEST_CASE("several outputs each get their own rows; of one output the last stay", "[dist][rows]") {
  const Shape shape = {GENERATE(int64_t{100}, 10000), 64};
  DistCluster cluster({1, 3});
  CHECK(cluster.Run([&](KVStore& store, int) {
    RowMap rows;
    for (int64_t row = 0; row < 100; ++row) rows[row] = Row(shape, static_cast<float>(row));
    store.Init(Ints{1, 2}, {RowArray(shape, rows), NDArray::RowSparse(shape)});
    NDArray a = NDArray::RowSparse(shape), b = a, c = NDArray::RowSparse(shape);
    NDArray d = RowArray(shape, {{1, Row(shape, 8)}});
    store.PullRowSparse(Ints{1, 2, 1, 1, 2}, {{&c, Ids({5})},
                                              {&d, Ids({5, 6})},
                                              {&a, Ids({1, 2, 3, 4})},
                                              {&b, Ids({99, 7, 7})},
                                              {&d, NDArray()}});
    MustBe(RowsIn(c) == RowMap{{5, rows[5]}}, "c");
    MustBe(RowsIn(a) == RowMap{{7, rows[7]}, {99, rows[99]}}, "a, which is b");
    MustBe(RowsIn(d).empty(), "d");
  }) == NothingThrown(1));
}

TEST_CASE("the output of a pull that fails has no rows rather than some", "[dist][rows]") {
  const Shape shape = {10000, 64};
  DistCluster cluster({2, 2});
  Meeting queued(2);
  const auto thrown = cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {NDArray::RowSparse(shape)});
    if (rank == 1) {
      queued.Arrive();
      throw std::runtime_error("gives up");
    }
    NDArray out = RowArray(shape, {{1, Row(shape, 8)}});
    store.Push(Ints{1}, {out});
    store.PullRowSparse(Ints{1}, {{&out, Ids({1, 2})}});  // of a round that lacks rank 1
    queued.Arrive();
    MUST_THROW(out.WaitToRead(), kFailedPrecondition, "worker 1");
    MustBe(out.indices().empty() && out.bytes() == 0, "no rows");
  });
  CHECK(thrown == std::vector<std::string>{"", "gives up"});
}

TEST_CASE("asynchronous pushes of rows all count once", "[dist][rows][async]") {
  const Shape shape = {GENERATE(int64_t{100}, 10000), 64};
  constexpr int kPushes = 20;
  DistCluster cluster({3, 2, 2});
  CHECK(cluster.Run(
            [&](KVStore& store, int rank) {
              store.Init(Ints{1}, {RowArray(shape, {{50, Row(shape, 100)}})});
              if (rank == 0) store.SetOptimizer(OptimizerSpec("sum"));
              store.Barrier();
              for (int n = 1; n <= kPushes; ++n) {
                store.Push(Ints{1},
                           {RowArray(shape, {{rank, Row(shape, 1)}, {50 + n % 3, Row(shape, 1)}})});
                store.Push(Ints{1}, {NDArray::RowSparse(shape)});  // nothing
                const RowMap own = PullRows(store, 1, {rank}, shape);
                MustBe(own == RowMap{{rank, Row(shape, static_cast<float>(n))}},
                       "a push of its own is missing");
              }
              store.WaitAll();
              store.Barrier();
              RowMap expected;
              for (int r = 0; r < 3; ++r) expected[r] = Row(shape, kPushes);
              expected[50] = Row(shape, 100 + 3 * 6);
              expected[51] = expected[52] = Row(shape, 3 * 7);
              MustBe(PullAll(store, 1, shape) == expected, "the pushes of all");
            },
            "dist_async") == NothingThrown(3));
}

TEST_CASE("a push without rows before an updater is set is nothing on dist_async",
          "[dist][rows][async]") {
  DistCluster cluster({1, 1});
  CHECK(cluster.Run(
            [&](KVStore& store, int) {
              const Shape shape = {100, 64};
              store.Init(Ints{1}, {NDArray::RowSparse(shape)});
              store.Push(Ints{1}, {NDArray::RowSparse(shape)});
              store.Wait(Ints{1});
              store.Push(Ints{1}, {RowArray(shape, {{1, Row(shape, 1)}})});
              MUST_THROW(store.Wait(Ints{1}), kFailedPrecondition, "SetOptimizer");
            },
            "dist_async") == NothingThrown(1));
}

TEST_CASE("a push without rows is nothing on dist_async, whatever the key's storage",
          "[dist][rows][async]") {
  const bool row_sparse = GENERATE(false, true);
  CAPTURE(row_sparse);
  DistCluster cluster({1, 2});
  CHECK(cluster.Run(
            [&](KVStore& store, int) {
              const Shape shape = {10000, 64};  // several parts
              store.Init(Ints{1}, {row_sparse ? NDArray::RowSparse(shape) : NDArray(shape)});
              const auto pulled = [&] {
                NDArray out(shape);
                store.Pull(Ints{1}, {&out});
                return NonZeroRowsIn(out);
              };
              const NDArray nothing = NDArray::RowSparse(shape);
              // Before SetOptimizer, too.
              store.Push(Ints{1}, {nothing});
              store.Wait(Ints{1});
              // A momentum would go on moving the value by an update of zeros.
              store.SetOptimizer(
                  OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("momentum", 0.5));
              store.Push(Ints{1}, {RowArray(shape, {{7, Row(shape, 1)}})});
              const RowMap once = {{7, Row(shape, -0.5f)}};
              store.Push(Ints{1}, {nothing});
              MustBe(pulled() == once, "an update by one push only");
              store.Push(Ints{1, 1}, {nothing, nothing});
              MustBe(pulled() == once, "no update by several values without rows");
              NDArray out(shape);
              store.PushPull(Ints{1}, Ints{1}, {nothing}, {&out});
              MustBe(NonZeroRowsIn(out) == once, "what is left of a PushPull is the Pull");
              // One value with a row is enough.
              store.Push(Ints{1, 1}, {nothing, RowArray(shape, {{7, Row(shape, 1)}})});
              MustBe(pulled() == RowMap{{7, Row(shape, -1.25f)}}, "the momentum, and one more");
            },
            "dist_async") == NothingThrown(1));
}

TEST_CASE("a tall table costs what its rows cost", "[dist][rows]") {
  const Shape shape = {int64_t{1} << 30, 64};  // 256 GiB
  DistCluster cluster({2, 2});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {NDArray::RowSparse(shape)});
    if (rank == 0) store.SetOptimizer(OptimizerSpec("sum"));
    store.Barrier();
    const int64_t last = shape[0] - 1;
    store.Push(Ints{1}, {RowArray(shape, {{rank, Row(shape, 1)}, {last, Row(shape, 2)}})});
    MustBe(PullRows(store, 1, {0, 1, last - 1, last}, shape) == RowMap{{0, Row(shape, 1)},
                                                                       {1, Row(shape, 1)},
                                                                       {last - 1, Row(shape, 0)},
                                                                       {last, Row(shape, 4)}},
           "the sums");
  }) == NothingThrown(2));
}

TEST_CASE("rows that are asked for wrongly are refused on dist as on local", "[dist][rows]") {
  const Shape shape = {100, 64};
  DistCluster cluster({1, 1});
  CHECK(cluster.Run([&](KVStore& store, int) {
    store.Init(Ints{1, 2}, {NDArray::RowSparse(shape), NDArray({2})});
    NDArray out = RowArray(shape, {{1, Row(shape, 8)}});
    const auto pull = [&](int key, const std::vector<int64_t>& ids) {
      store.PullRowSparse(Ints{key}, {{&out, Ids(ids)}});
    };
    MUST_THROW(pull(1, {100}), kOutOfRange, "key 1: row ids from 0 to 99 expected, got 100");
    MUST_THROW(pull(2, {0}), kInvalidArgument, "key 2: PullRowSparse: a key of storage row_sparse");
    store.Init(Ints{4}, {NDArray::RowSparse({300, 64})});
    NDArray taller = NDArray::RowSparse({300, 64});
    MUST_THROW(store.PullRowSparse(Ints{4}, {{&taller, NDArray({1}, DataType::kUInt8)}}),
               kInvalidArgument, "key 4: row ids of a dtype that tells 300 rows apart expected");
    NDArray fraction({1});
    fraction.data_as<float>()[0] = 2.5f;
    MUST_THROW(store.PullRowSparse(Ints{4}, {{&taller, fraction}}), kInvalidArgument,
               "key 4: row ids that are whole numbers expected, got 2.5");
    MUST_THROW(store.Pull(Ints{1}, {&out}, 0, false), kInvalidArgument, "ignore_sparse");
    store.Pull(Ints{1}, {&out});
    MustBe(RowsIn(out) == RowMap{{1, Row(shape, 8)}}, "left alone");
    MUST_THROW(store.Init(Ints{1}, {NDArray::RowSparse(shape)}), kAlreadyExists, "key 1");
    MUST_THROW(store.Init(Ints{3}, {NDArray::RowSparse({10, 1 << 18})}), kInvalidArgument,
               "row_sparse rows of at most");
  }) == NothingThrown(1));
}

TEST_CASE("row ids that are still being pulled are read when they are there", "[dist][rows]") {
  DistCluster cluster({1, 2});
  CHECK(cluster.Run([&](KVStore& store, int) {
    const Shape shape = {100, 64};
    NDArray ids({2}, DataType::kInt32);
    ids.data_as<int32_t>()[0] = 3;
    ids.data_as<int32_t>()[1] = 4;
    store.Init(Ints{1, 2}, {RowArray(shape, {{3, Row(shape, 1)}, {4, Row(shape, 2)}}), ids});
    NDArray pulled({2}, DataType::kInt32);
    NDArray out = NDArray::RowSparse(shape);
    store.Pull(Ints{2}, {&pulled});
    store.PullRowSparse(Ints{1}, {{&out, pulled}});
    MustBe(RowsIn(out) == RowMap{{3, Row(shape, 1)}, {4, Row(shape, 2)}}, "the rows");
  }) == NothingThrown(1));
}

TEST_CASE("a row_sparse push to a key of default storage is zero elsewhere", "[dist][rows]") {
  // Of one part and of several.
  const Shape shape = {GENERATE(int64_t{100}, 10000), 64};
  DistCluster cluster({2, 3});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {NDArray(shape)});
    if (rank == 0) store.SetOptimizer(OptimizerSpec("sum"));
    store.Barrier();
    const auto f = static_cast<float>(rank + 1);
    const int64_t last = shape[0] - 1;
    const NDArray one = RowArray(shape, {{rank, Row(shape, f)}});
    const NDArray two = RowArray(shape, {{5, Row(shape, f)}, {last, Row(shape, 1)}});
    store.Push(Ints{1}, {one});
    store.Push(Ints{1, 1}, {one, two});
    MustBe(
        PullAll(store, 1, shape) ==
            RowMap{
                {0, Row(shape, 2)}, {1, Row(shape, 4)}, {5, Row(shape, 3)}, {last, Row(shape, 2)}},
        "the sums");
  }) == NothingThrown(2));
}

TEST_CASE("on dist_async either storage may be pushed to either, as on local",
          "[dist][rows][async]") {
  // Of one part or stripe, and of several.
  const Shape shape = {GENERATE(int64_t{100}, 10000), 64};
  // With decay and momentum all rows move in an update, whether their sum is zero or not.
  const OptimizerSpec rule =
      OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("wd", 0.25).Set("momentum", 0.5);
  constexpr int kSparse = 1, kDense = 2;
  const auto train = [&](KVStore& store) {
    std::mt19937_64 random(20261125);
    const NDArray initial = RandomRows(random, shape, DataType::kFloat32, 90);
    NDArray zeros(shape);
    store.Init(Ints{kSparse, kDense}, {initial, zeros});
    store.SetOptimizer(rule);
    for (int n = 0; n < 3; ++n) {
      const NDArray rows = RowArray(shape, {{n, Row(shape, 1)}, {50, Row(shape, -2)}});
      NDArray dense(shape);
      std::fill_n(dense.data_as<float>(), dense.size(), static_cast<float>(n) - 1.25f);
      store.Push(Ints{kSparse, kDense}, {dense, rows});
      store.Push(Ints{kSparse, kDense}, {rows, dense});
      store.Push(Ints{kSparse, kDense, kSparse, kDense}, {dense, rows, rows, dense});
    }
    std::vector<RowMap> values = {PullAll(store, kSparse, shape), PullAll(store, kDense, shape)};
    return values;
  };
  const std::vector<RowMap> expected = train(*KVStore::CreateUnique("local"));
  CHECK(expected[0].size() == static_cast<size_t>(shape[0]));
  CHECK(expected[1].size() == static_cast<size_t>(shape[0]));
  DistCluster cluster({1, 3});
  CHECK(cluster.Run(
            [&](KVStore& store, int) { MustBe(train(store) == expected, "the values of local"); },
            "dist_async") == NothingThrown(1));
}

TEST_CASE("a row_sparse key has its own learning rate and weight decay on a dist store",
          "[dist][rows]") {
  struct Kind {
    std::string type;
    uint32_t workers;
  };
  const auto kind = GENERATE(Kind{"dist_sync", 2}, Kind{"dist_async", 1});
  const Shape shape = {GENERATE(int64_t{100}, 10000), 64};
  CAPTURE(kind.type, shape[0]);
  DistCluster cluster({kind.workers, 2});
  CHECK(
      cluster.Run(
          [&](KVStore& store, int rank) {
            const NDArray initial =
                RowArray(shape, {{3, Row(shape, 1)}, {70, Row(shape, 1)}, {71, Row(shape, 1)}});
            store.Init(Ints{1, 2}, {initial, initial});
            OptimizerSpec rule = OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("wd", 1);
            rule.SetLrMult(1, 0.5).SetWdMult(1, 2);
            if (rank == 0) store.SetOptimizer(rule);
            store.Barrier();
            const auto share = 1 / static_cast<float>(kind.workers);
            const NDArray rows = RowArray(shape, {{3, Row(shape, share)}, {70, Row(shape, 0)}});
            store.Push(Ints{1, 2}, {rows, rows});
            // w - 0.25 * (g + 2 w) and w - 0.5 * (g + w).
            MustBe(PullAll(store, 1, shape) ==
                       RowMap{{3, Row(shape, 0.25f)}, {70, Row(shape, 0.5f)}, {71, Row(shape, 1)}},
                   "with factors");
            MustBe(PullAll(store, 2, shape) == RowMap{{70, Row(shape, 0.5f)}, {71, Row(shape, 1)}},
                   "without");
          },
          kind.type) == NothingThrown(kind.workers));
}

}  // namespace kvstore
