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
RowMap AllRows(float value) {
  RowMap rows;
  for (int64_t row = 0; row < kShape[0]; ++row) rows[row] = {value, value};
  return rows;
}

}  // namespace

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

}  // namespace kvstore
