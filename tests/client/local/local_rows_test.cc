// Row-sparse values on the stores of one process (docs: kvstore semantics).
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <future>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "client/array/ndarray_impl.h"
#include "kvstore/kvstore.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/expect_error.h"
#include "tests/support/row_arrays.h"
#include "tests/support/standard_error.h"

namespace kvstore {
namespace {

using Ints = std::vector<int>;

const std::vector<int64_t> kShape = {10, 2};

RowMap PullRows(KVStore& store, int key, const NDArray& ids,
                const std::vector<int64_t>& shape = kShape) {
  NDArray out = NDArray::RowSparse(shape);
  store.PullRowSparse(Ints{key}, {{&out, ids}});
  return RowsIn(out);
}
RowMap PullAll(KVStore& store, int key, const std::vector<int64_t>& shape = kShape) {
  NDArray out(shape);
  store.Pull(Ints{key}, {&out});
  return NonZeroRowsIn(out);
}
NDArray Dense(float value) {
  NDArray array(kShape);
  std::fill_n(array.data_as<float>(), array.size(), value);
  return array;
}
RowMap AllRows(float value) {
  RowMap rows;
  for (int64_t row = 0; row < kShape[0]; ++row) rows[row] = {value, value};
  return rows;
}

}  // namespace

TEST_CASE("a row_sparse key begins with all rows, some or none", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1, 2, 3}, {RowArray(kShape, AllRows(3)), RowArray(kShape, {{2, {1, 2}}}),
                              NDArray::RowSparse(kShape)});
  CHECK(PullAll(*store, 1) == AllRows(3));
  CHECK(PullAll(*store, 2) == RowMap{{2, {1, 2}}});
  CHECK(PullAll(*store, 3).empty());
  CHECK(PullRows(*store, 2, Ids({1, 2})) == RowMap{{1, {0, 0}}, {2, {1, 2}}});
}

TEST_CASE("PullRowSparse gives the rows that were asked for, in ascending order, each once",
          "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1}, {RowArray(kShape, {{0, {1, 1}}, {5, {2, 2}}, {9, {3, 3}}})});
  CHECK(PullRows(*store, 1, Ids({9, 5, 9, 3, 5})) == RowMap{{3, {0, 0}}, {5, {2, 2}}, {9, {3, 3}}});
  CHECK(PullRows(*store, 1, NDArray()).empty());
  // An output loses the rows that it had.
  NDArray out = RowArray(kShape, {{1, {8, 8}}, {5, {8, 8}}});
  store->PullRowSparse(Ints{1}, {{&out, Ids({0})}});
  CHECK(RowsIn(out) == RowMap{{0, {1, 1}}});
  store->PullRowSparse(Ints{1}, {{&out, NDArray()}});
  CHECK(RowsIn(out).empty());
}

TEST_CASE("several outputs of a key each get their own rows", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(std::vector<std::string>{"e", "f"},
              {RowArray(kShape, AllRows(3)), RowArray(kShape, AllRows(4))});
  NDArray a = NDArray::RowSparse(kShape), b = NDArray::RowSparse(kShape);
  NDArray c = NDArray::RowSparse(kShape);
  store->PullRowSparse(std::vector<std::string>{"e", "f", "e"},
                       {{&a, Ids({1})}, {&b, Ids({7, 8})}, {&c, NDArray()}});
  CHECK(RowsIn(a) == RowMap{{1, {3, 3}}});
  CHECK(RowsIn(b) == RowMap{{7, {4, 4}}, {8, {4, 4}}});
  CHECK(RowsIn(c).empty());
}

TEST_CASE("row ids may be of any dtype that can say every row, and of any shape", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1}, {RowArray(kShape, AllRows(3))});
  const auto expect = [&](const NDArray& ids, const std::set<int64_t>& rows) {
    CAPTURE(DataTypeName(ids.dtype()));
    std::set<int64_t> got;
    for (const auto& [row, value] : PullRows(*store, 1, ids)) got.insert(row);
    CHECK(got == rows);
  };
  const auto filled = [](NDArray array, auto... values) {
    const std::vector<std::common_type_t<decltype(values)...>> all = {values...};
    std::copy(all.begin(), all.end(), array.data_as<typename decltype(all)::value_type>());
    return array;
  };
  expect(filled(NDArray({2, 2}, DataType::kInt64), int64_t{7}, int64_t{1}, int64_t{1}, int64_t{0}),
         {0, 1, 7});
  expect(filled(NDArray({3}, DataType::kInt32), 4, 0, 9), {0, 4, 9});
  expect(filled(NDArray({1, 3}), 4.0f, -0.0f, 9.0f), {0, 4, 9});
  expect(filled(NDArray({2}, DataType::kFloat64), 3.0, 8.0), {3, 8});
  expect(filled(NDArray({2}, DataType::kInt8), int8_t{3}, int8_t{5}), {3, 5});
  expect(filled(NDArray({2}, DataType::kUInt8), uint8_t{3}, uint8_t{5}), {3, 5});
  expect(filled(NDArray(std::vector<int64_t>{}, DataType::kInt64), int64_t{6}), {6});
  // 1 and 5
  expect(filled(NDArray({2}, DataType::kFloat16), uint16_t{0x3c00}, uint16_t{0x4500}), {1, 5});
  expect(filled(NDArray({2}, DataType::kBFloat16), uint16_t{0x3f80}, uint16_t{0x40a0}), {1, 5});
}

TEST_CASE("row ids in bool are rows 0 and 1 of two, whatever byte says true", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1}, {RowArray({2, 1}, {{0, {3}}, {1, {4}}})});
  NDArray ids({1}, DataType::kBool);
  CHECK(PullRows(*store, 1, ids, {2, 1}) == RowMap{{0, {3}}});
  for (const int byte : {1, 2, 255}) {
    ids.data_as<uint8_t>()[0] = static_cast<uint8_t>(byte);
    CHECK(PullRows(*store, 1, ids, {2, 1}) == RowMap{{1, {4}}});
  }
}

TEST_CASE("row ids whose dtype cannot say every row of the key are refused, whatever they are",
          "[local][rows]") {
  struct Limit {
    DataType dtype;
    int64_t rows;
  };
  const auto limit = GENERATE(
      Limit{DataType::kBool, 2}, Limit{DataType::kInt8, 128}, Limit{DataType::kUInt8, 256},
      Limit{DataType::kBFloat16, 256}, Limit{DataType::kFloat16, 2048},
      Limit{DataType::kFloat32, int64_t{1} << 24}, Limit{DataType::kInt32, int64_t{1} << 31});
  CAPTURE(DataTypeName(limit.dtype), limit.rows);
  const std::vector<int64_t> high = {limit.rows + 1, 1};
  const std::vector<int64_t> just_right = {limit.rows, 1};
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1, 2}, {RowArray(high, {{0, {3}}}), RowArray(just_right, {{0, {3}}})});
  const NDArray zero({1}, limit.dtype);
  CHECK(PullRows(*store, 2, zero, just_right) == RowMap{{0, {3}}});
  NDArray out = RowArray(high, {{1, {8}}});
  CHECK_ERROR(store->PullRowSparse(Ints{1}, {{&out, zero}}), kInvalidArgument,
              fmt::format("key 1: row ids of a dtype that tells {} rows apart expected, such as "
                          "i64, got {}, which tells {}",
                          limit.rows + 1, DataTypeName(limit.dtype), limit.rows));
  CHECK(RowsIn(out) == RowMap{{1, {8}}});
  store->PullRowSparse(Ints{1}, {{&out, NDArray()}});  // no ids are of no dtype
  CHECK(RowsIn(out).empty());
}

TEST_CASE("a float id that was rounded on its way is not taken for another row", "[local][rows]") {
  constexpr int64_t kFirst = 59000000;
  const auto store = KVStore::CreateUnique();
  const std::vector<int64_t> shape = {60000000, 1};
  store->Init(Ints{1, 2}, {NDArray::RowSparse(shape), NDArray::RowSparse({1 << 24, 1})});
  NDArray floats({10});
  NDArray doubles({10}, DataType::kFloat64);
  std::set<float> different;
  for (int i = 0; i < 10; ++i) {
    floats.data_as<float>()[i] = static_cast<float>(kFirst + i);
    doubles.data_as<double>()[i] = static_cast<double>(kFirst + i);
    different.insert(floats.data_as<float>()[i]);
  }
  REQUIRE(different.size() == 3);
  NDArray out = NDArray::RowSparse(shape);
  CHECK_ERROR(store->PullRowSparse(Ints{1}, {{&out, floats}}), kInvalidArgument,
              "key 1: row ids of a dtype that tells 60000000 rows apart expected, such as i64, got "
              "f32, which tells 16777216");
  CHECK(PullRows(*store, 1, doubles, shape).size() == 10);
  // In the highest table that f32 may be used with, 2^24 + 1 becomes 2^24: no row.
  floats = NDArray({1});
  floats.data_as<float>()[0] = static_cast<float>((1 << 24) + 1);
  out = NDArray::RowSparse({1 << 24, 1});
  CHECK_ERROR(store->PullRowSparse(Ints{2}, {{&out, floats}}), kOutOfRange,
              "key 2: row ids from 0 to 16777215 expected, got 16777216");
}

TEST_CASE("a row id that is no row is refused at once, and nothing is queued", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1, 2}, {RowArray(kShape, AllRows(3)), RowArray(kShape, AllRows(4))});
  NDArray out = RowArray(kShape, {{1, {8, 8}}});
  NDArray other = out;
  const auto pull = [&](const NDArray& ids) {
    store->PullRowSparse(Ints{2, 1}, {{&other, Ids({0})}, {&out, ids}});
  };
  CHECK_ERROR(pull(Ids({3, 10})), kOutOfRange, "key 1: row ids from 0 to 9 expected, got 10");
  CHECK_ERROR(pull(Ids({-1})), kOutOfRange, "got -1");
  NDArray floats({2});
  for (const float wrong : {-1.0f, 10.0f, 1e30f, -std::numeric_limits<float>::infinity()}) {
    floats.data_as<float>()[1] = wrong;
    CHECK_ERROR(pull(floats), kOutOfRange, "key 1: row ids from 0 to 9 expected");
  }
  for (const float wrong : {9.5f, -0.5f, 1e-30f, std::numeric_limits<float>::quiet_NaN()}) {
    floats.data_as<float>()[1] = wrong;
    CHECK_ERROR(pull(floats), kInvalidArgument,
                fmt::format("key 1: row ids that are whole numbers expected, got {}", wrong));
  }
  for (const auto& [dtype, half] : std::map<DataType, uint16_t>{
           {DataType::kFloat16, uint16_t{0x4580}}, {DataType::kBFloat16, uint16_t{0x40b0}}}) {
    NDArray halves({1}, dtype);
    halves.data_as<uint16_t>()[0] = half;
    CHECK_ERROR(pull(halves), kInvalidArgument, "row ids that are whole numbers expected, got 5.5");
  }
  CHECK(RowsIn(out) == RowMap{{1, {8, 8}}});
  CHECK(store->status(1) == "OK");
}

TEST_CASE("without an updater the value becomes the sum: rows that it has not are zero",
          "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1}, {RowArray(kShape, AllRows(3))});
  store->Push(Ints{1}, {RowArray(kShape, {{4, {1, 2}}, {7, {3, 4}}})});
  CHECK(PullAll(*store, 1) == RowMap{{4, {1, 2}}, {7, {3, 4}}});
  store->Push(Ints{1}, {NDArray::RowSparse(kShape)});
  CHECK(PullAll(*store, 1).empty());
}

TEST_CASE("an optimizer moves the rows that are pushed, and no others", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1}, {RowArray(kShape, AllRows(1))});
  store->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("wd", 1));
  store->Push(Ints{1}, {RowArray(kShape, {{4, {1, 2}}})});
  store->Push(Ints{1}, {NDArray::RowSparse(kShape)});
  RowMap expected = AllRows(1);
  expected[4] = {0, -0.5f};  // 1 - 0.5 * (g + 1)
  CHECK(PullAll(*store, 1) == expected);
}

TEST_CASE("a row_sparse key has its own learning rate and weight decay", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1, 2}, {RowArray(kShape, AllRows(1)), RowArray(kShape, AllRows(1))});
  OptimizerSpec rule = OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("wd", 1);
  store->SetOptimizer(rule.SetLrMult(1, 0.5).SetWdMult(1, 2));
  const NDArray rows = RowArray(kShape, {{4, {1, 3}}});
  store->Push(Ints{1, 2}, {rows, rows});
  RowMap expected = AllRows(1);
  expected[4] = {0.25f, -0.25f};  // 1 - 0.25 * (g + 2)
  CHECK(PullAll(*store, 1) == expected);
  expected[4] = {0, -1};  // 1 - 0.5 * (g + 1)
  CHECK(PullAll(*store, 2) == expected);
}

TEST_CASE("values of either storage are summed in list order", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1, 2}, {NDArray::RowSparse(kShape), NDArray(kShape)});
  const std::vector<NDArray> values = {RowArray(kShape, {{4, {1e8f, 1}}, {6, {2, 2}}}),
                                       Dense(0.25f), RowArray(kShape, {{4, {-1e8f, 1}}})};
  // In this order 0.25 is lost in 1e8.
  RowMap expected = AllRows(0.25f);
  expected[4] = {0, 2.25f};
  expected[6] = {2.25f, 2.25f};
  store->Push(Ints{1, 1, 1}, values);
  CHECK(PullAll(*store, 1) == expected);
  store->Push(Ints{2, 2, 2}, values);  // a key of default storage
  CHECK(PullAll(*store, 2) == expected);
}

TEST_CASE("a dense push is all rows of a row_sparse key, a row_sparse one is zero elsewhere",
          "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1, 2}, {RowArray(kShape, AllRows(1)), Dense(1)});
  store->SetOptimizer(OptimizerSpec("sum"));
  store->Push(Ints{1, 2}, {Dense(2), RowArray(kShape, {{3, {2, 5}}})});
  CHECK(PullAll(*store, 1) == AllRows(3));
  RowMap expected = AllRows(1);
  expected[3] = {3, 6};
  CHECK(PullAll(*store, 2) == expected);
}

TEST_CASE("Pull leaves row_sparse outputs alone, unless it is told otherwise", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  NDArray dense = Dense(0);
  std::copy_n(Dense(7).data_as<float>(), 4, dense.data_as<float>() + 6);  // rows 3 and 4
  store->Init(Ints{1, 2}, {RowArray(kShape, {{2, {1, 2}}, {8, {0, 0}}}), dense});
  NDArray out = RowArray(kShape, {{1, {8, 8}}});
  NDArray whole(kShape);
  store->Pull(Ints{1, 2}, {&out, &out});
  store->Pull(Ints{1, 1}, {&out, &whole});
  CHECK(RowsIn(out) == RowMap{{1, {8, 8}}});
  CHECK(NonZeroRowsIn(whole) == RowMap{{2, {1, 2}}});
  store->Pull(Ints{1}, {&out}, 0, /*ignore_sparse=*/false);
  CHECK(RowsIn(out) == RowMap{{2, {1, 2}}});  // rows that are zero are not held
  store->Pull(Ints{2}, {&out}, 0, /*ignore_sparse=*/false);
  CHECK(RowsIn(out) == RowMap{{3, {7, 7}}, {4, {7, 7}}});
}

TEST_CASE("PushPull and Broadcast leave row_sparse outputs alone", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  NDArray out = RowArray(kShape, {{1, {8, 8}}});
  NDArray whole(kShape);
  store->Broadcast(Ints{1}, Ints{1, 1}, {RowArray(kShape, AllRows(1))}, {&out, &whole});
  CHECK(NonZeroRowsIn(whole) == AllRows(1));
  store->PushPull(Ints{1}, Ints{1}, {RowArray(kShape, AllRows(2))}, {&out});
  CHECK(RowsIn(out) == RowMap{{1, {8, 8}}});
  CHECK(PullAll(*store, 1) == AllRows(2));
  store->PushPull(Ints{1}, Ints{1}, {RowArray(kShape, AllRows(3))}, {&whole});
  CHECK(NonZeroRowsIn(whole) == AllRows(3));
}

TEST_CASE("row_sparse outputs that are left alone are told once per key, by each store",
          "[local][rows]") {
  const std::string log = StandardErrorOf([] {
    for (int n = 0; n < 2; ++n) {
      const auto store = KVStore::CreateUnique();
      NDArray out = NDArray::RowSparse(kShape);
      store->Broadcast(Ints{1}, Ints{1}, {NDArray::RowSparse(kShape)}, {&out});
      store->Pull(Ints{1, 1}, {&out, &out});
      store->PushPull(Ints{1}, Ints{1}, {NDArray::RowSparse(kShape)}, {&out});
      store->Init(Ints{2}, {NDArray::RowSparse(kShape)});
      store->PushPull(Ints{2}, Ints{2}, {NDArray::RowSparse(kShape)}, {&out});
      store->Pull(Ints{2}, {&out});
    }
  });
  CAPTURE(log);
  CHECK(CountOf("key 1: Pull leaves outputs of storage row_sparse alone", log) == 2);
  CHECK(CountOf("key 2: PushPull leaves outputs of storage row_sparse alone", log) == 2);
  CHECK(CountOf("leaves outputs of storage row_sparse alone: use PullRowSparse", log) == 4);
}

TEST_CASE("arguments of row_sparse calls that do not fit are refused by name", "[local][rows]") {
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1, 2}, {RowArray(kShape, AllRows(3)), Dense(4)});
  NDArray out = NDArray::RowSparse(kShape);
  NDArray dense(kShape);
  NDArray wide = NDArray::RowSparse({10, 3});
  NDArray doubles = NDArray::RowSparse(kShape, DataType::kFloat64);
  const NDArray ids = Ids({1});
  const auto pull = [&](int key, NDArray* output, const NDArray& row_ids) {
    store->PullRowSparse(Ints{key}, {{output, row_ids}});
  };
  CHECK_ERROR(pull(3, &out, ids), kNotFound, "key 3");
  CHECK_ERROR(pull(2, &out, ids), kInvalidArgument,
              "key 2: PullRowSparse: a key of storage row_sparse expected, got default");
  CHECK_ERROR(pull(1, &dense, ids), kInvalidArgument,
              "key 1: an output of storage row_sparse expected, got default");
  CHECK_ERROR(pull(1, nullptr, ids), kInvalidArgument, "key 1: an output expected, got null");
  CHECK_ERROR(pull(1, &wide, ids), kInvalidArgument, "shape [10,2] expected, got [10,3]");
  CHECK_ERROR(pull(1, &doubles, ids), kInvalidArgument, "dtype f32 expected, got f64");
  CHECK_ERROR(pull(1, &out, out), kInvalidArgument,
              "key 1: row ids of storage default expected, got row_sparse");
  CHECK_ERROR(store->PullRowSparse(std::vector<std::string>{"a"}, {{&out, ids}}), kInvalidArgument,
              "mixed key types");
  CHECK_ERROR(store->PullRowSparse(Ints{1, 1}, {{&out, ids}}), kInvalidArgument,
              "PullRowSparse: as many outputs as keys expected, got 1 and 2");
  store->PullRowSparse(Ints{}, {});
  CHECK_ERROR(store->Push(Ints{1}, {wide}), kInvalidArgument, "shape [10,2] expected, got [10,3]");
  CHECK_ERROR(store->Push(Ints{1}, {doubles}), kInvalidArgument, "dtype f32 expected, got f64");
  CHECK_ERROR(store->Push(Ints{1}, {NDArray()}), kInvalidArgument, "got an empty one");
  CHECK_ERROR(store->Pull(Ints{1}, {&doubles}, 0, false), kInvalidArgument, "dtype f32 expected");
  CHECK_ERROR(store->Init(Ints{4}, {NDArray::RowSparse({10, (1 << 18) - 1})}), kInvalidArgument,
              "key 4: row_sparse rows of at most 1048568 bytes expected, got 1048572");
  store->Init(Ints{4}, {NDArray::RowSparse({10, (1 << 18) - 2})});
  CHECK(PullAll(*store, 1) == AllRows(3));
}

TEST_CASE("rows of every dtype are the fold of the values, rounded once", "[local][rows]") {
  using testing::Bytes;
  std::mt19937_64 random(20261124);
  constexpr size_t kWidth = 33;
  const std::vector<int64_t> shape = {50, kWidth};
  for (const DataType dtype : testing::kEveryDType) {
    CAPTURE(DataTypeName(dtype));
    const testing::DTypeOracle oracle(ToDType(dtype));
    const auto store = KVStore::CreateUnique();
    store->Init(Ints{1}, {NDArray::RowSparse(shape, dtype)});
    // Row 7 is in every value, row k in value k only.
    Bytes expected;
    const auto push = [&](const auto& update) {
      std::vector<NDArray> values;
      std::vector<Bytes> sevens;
      for (int64_t k = 0; k < 3; ++k) {
        sevens.push_back(oracle.Random(random, kWidth));
        const Bytes own = oracle.Random(random, kWidth);
        const NDArray rows({2, kWidth}, dtype);
        std::copy(own.begin(), own.end(), rows.data_as<uint8_t>());
        std::copy(sevens.back().begin(), sevens.back().end(), rows.data_as<uint8_t>() + own.size());
        values.push_back(NDArray::RowSparse(shape, {k, 7}, rows));
      }
      store->Push(Ints{1, 1, 1}, values);
      expected = update(sevens);
      NDArray out = NDArray::RowSparse(shape, dtype);
      store->PullRowSparse(Ints{1}, {{&out, Ids({7})}});
      out.WaitToRead();
      CHECK(Bytes(out.data_as<uint8_t>(), out.data_as<uint8_t>() + out.bytes()) == expected);
    };
    push([&](const std::vector<Bytes>& rows) { return oracle.Assign(rows); });
    store->SetOptimizer(OptimizerSpec("sum"));
    push([&](const std::vector<Bytes>& rows) { return oracle.Sum(expected, rows); });
    if (!oracle.IsFloat()) continue;
    store->SetOptimizer(OptimizerSpec("test").Set("rescale_grad", double{0.3f}));
    push([&](const std::vector<Bytes>& rows) { return oracle.Test(expected, rows, 0.3f); });
  }
}

TEST_CASE("a table of 2^40 elements takes memory for its rows only", "[local][rows]") {
  const std::vector<int64_t> shape = {int64_t{1} << 38, 4};
  const auto store = KVStore::CreateUnique();
  store->Init(Ints{1}, {NDArray::RowSparse(shape)});
  store->SetOptimizer(OptimizerSpec("sum"));
  const int64_t last = shape[0] - 1;
  store->Push(Ints{1, 1}, {RowArray(shape, {{0, {1, 2, 3, 4}}, {last, {5, 6, 7, 8}}}),
                           RowArray(shape, {{last, {1, 1, 1, 1}}})});
  CHECK(PullRows(*store, 1, Ids({last, last / 2, 0}), shape) ==
        RowMap{{0, {1, 2, 3, 4}}, {last / 2, {0, 0, 0, 0}}, {last, {6, 7, 8, 9}}});
}

TEST_CASE("random pushes and pulls of rows agree with a map of rows", "[local][rows]") {
  std::mt19937_64 random(GENERATE(1, 2, 3));
  const std::vector<int64_t> shape = {97, 3};
  const auto store = KVStore::CreateUnique();
  store->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("momentum", 0.25));
  RowMap weights, momenta;
  const auto random_rows = [&] {
    RowMap rows;
    for (uint64_t n = random() % 30; n > 0; --n) {
      std::vector<float>& row = rows[static_cast<int64_t>(random() % 97)];
      row = {static_cast<float>(random() % 1000) / 7, -1, static_cast<float>(random() % 3)};
    }
    return rows;
  };
  weights = random_rows();
  store->Init(Ints{1}, {RowArray(shape, weights)});
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
      std::vector<float>& w = weights[row];
      std::vector<float>& m = momenta[row];
      w.resize(3);
      m.resize(3);
      for (size_t i = 0; i < 3; ++i) {
        const float g = gradient[i] + 0 * w[i];
        m[i] = 0.25f * m[i] - 0.5f * g;
        w[i] = w[i] + m[i];
      }
    }
    store->Push(Ints(values.size(), 1), values);
    RowMap asked;
    std::vector<int64_t> ids;
    for (uint64_t n = random() % 50; n > 0; --n) {
      ids.push_back(static_cast<int64_t>(random() % 97));
      const auto row = weights.find(ids.back());
      asked[ids.back()] = row == weights.end() ? std::vector<float>(3) : row->second;
    }
    REQUIRE(PullRows(*store, 1, Ids(ids), shape) == asked);
  }
}

}  // namespace kvstore
