// The ids of PullRowSparse: dtypes, what they can say, and what is no row.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <limits>
#include <set>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

const Dims kShape = {10, 2};

// Ids of the C++ type T in an array of `dtype`.
template <typename T>
NDArray IdsOf(DataType dtype, const Dims& shape, const std::vector<T>& ids) {
  const NDArray array(shape, dtype);
  std::copy(ids.begin(), ids.end(), array.data_as<T>());
  return array;
}

struct Example {
  NDArray ids;
  std::vector<int64_t> rows;
};

}  // namespace

TEST_CASE("row ids may be of any dtype that can say every row, and of any shape", "[rowids]") {
  const std::vector<Example> examples = {
      {IdsOf<int64_t>(DataType::kInt64, {2, 2}, {7, 1, 1, 0}), {0, 1, 7}},
      {IdsOf<int64_t>(DataType::kInt64, {}, {6}), {6}},
      {IdsOf<int32_t>(DataType::kInt32, {3}, {4, 0, 9}), {0, 4, 9}},
      {IdsOf<float>(DataType::kFloat32, {1, 3}, {4, -0.0f, 9}), {0, 4, 9}},
      {IdsOf<double>(DataType::kFloat64, {2}, {3, 8}), {3, 8}},
      {IdsOf<int8_t>(DataType::kInt8, {2}, {3, 5}), {3, 5}},
      {IdsOf<uint8_t>(DataType::kUInt8, {2}, {3, 5}), {3, 5}},
      {IdsOf<uint16_t>(DataType::kFloat16, {2}, {0x3c00, 0x4500}), {1, 5}},
      {IdsOf<uint16_t>(DataType::kBFloat16, {2}, {0x3f80, 0x40a0}), {1, 5}},
  };
  OnEvery(Store, [&](Worker& worker) {
    worker.store().Init(Ints{1}, {WithAllRows(Filled(kShape, 3))});
    for (const Example& example : examples) {
      RowMap rows;
      for (const int64_t row : example.rows) rows[row] = {3, 3};
      MUST_EQUAL(PullRows(worker.store(), 1, kShape, example.ids), rows);
    }
  });
}

TEST_CASE("row ids in bool are rows 0 and 1 of two, whatever byte says true", "[rowids]") {
  OnEvery(Store, [](Worker& worker) {
    const Dims shape = {2, 1};
    worker.store().Init(Ints{1}, {RowArray(shape, {{0, {3}}, {1, {4}}})});
    for (const int byte : {0, 1, 2, 255}) {
      const NDArray ids = IdsOf<uint8_t>(DataType::kBool, {1}, {static_cast<uint8_t>(byte)});
      MUST_EQUAL(PullRows(worker.store(), 1, shape, ids),
                 byte == 0 ? RowMap{{0, {3}}} : RowMap{{1, {4}}});
    }
  });
}

TEST_CASE("row ids whose dtype cannot say every row of the key are refused, whatever they are",
          "[rowids][errors]") {
  struct Limit {
    DataType dtype;
    int64_t rows;
  };
  const std::vector<Limit> limits = {{DataType::kBool, 2},
                                     {DataType::kInt8, 128},
                                     {DataType::kUInt8, 256},
                                     {DataType::kBFloat16, 256},
                                     {DataType::kFloat16, 2048},
                                     {DataType::kFloat32, int64_t{1} << 24},
                                     {DataType::kInt32, int64_t{1} << 31}};
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    int key = 0;
    for (const Limit& limit : limits) {
      const Dims too_high = {limit.rows + 1, 1}, just_right = {limit.rows, 1};
      const int high = ++key, right = ++key;
      store.Init(Ints{high, right},
                 {RowArray(too_high, {{0, {3}}}), RowArray(just_right, {{0, {3}}})});
      const NDArray zero({1}, limit.dtype);
      MUST_EQUAL(PullRows(store, right, just_right, zero), RowMap{{0, {3}}});
      NDArray out = RowArray(too_high, {{1, {8}}});
      MUST_THROW(store.PullRowSparse(Ints{high}, {{&out, zero}}), kInvalidArgument,
                 fmt::format("key {}: row ids of a dtype that tells {} rows apart expected, such "
                             "as i64, got {}, which tells {}",
                             high, limit.rows + 1, DataTypeName(limit.dtype), limit.rows));
      MUST_EQUAL(RowsIn(out), RowMap{{1, {8}}});
      store.PullRowSparse(Ints{high}, {{&out, NDArray()}});  // no ids are of no dtype
      MUST(RowsIn(out).empty());
    }
  });
}

TEST_CASE("a float id that was rounded on its way is not taken for another row",
          "[rowids][errors]") {
  constexpr int64_t kFirst = 59000000;
  const Dims shape = {60000000, 1}, highest = {1 << 24, 1};
  std::vector<float> floats;
  std::vector<double> doubles;
  for (int64_t i = 0; i < 10; ++i) {
    floats.push_back(static_cast<float>(kFirst + i));
    doubles.push_back(static_cast<double>(kFirst + i));
  }
  REQUIRE(std::set<float>(floats.begin(), floats.end()).size() == 3);
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {NDArray::RowSparse(shape), NDArray::RowSparse(highest)});
    NDArray out = NDArray::RowSparse(shape);
    MUST_THROW(
        store.PullRowSparse(Ints{1}, {{&out, IdsOf<float>(DataType::kFloat32, {10}, floats)}}),
        kInvalidArgument,
        "key 1: row ids of a dtype that tells 60000000 rows apart expected, such as i64, got f32, "
        "which tells 16777216");
    MUST_EQUAL(PullRows(store, 1, shape, IdsOf<double>(DataType::kFloat64, {10}, doubles)).size(),
               size_t{10});
    // In the highest table that f32 may be used with, 2^24 + 1 becomes 2^24: no row.
    out = NDArray::RowSparse(highest);
    const NDArray beyond = Array({static_cast<float>((1 << 24) + 1)});
    MUST_THROW(store.PullRowSparse(Ints{2}, {{&out, beyond}}), kOutOfRange,
               "key 2: row ids from 0 to 16777215 expected, got 16777216");
  });
}

TEST_CASE("a row id that is no row is refused at once, and nothing is queued", "[rowids][errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {WithAllRows(Filled(kShape, 3)), WithAllRows(Filled(kShape, 4))});
    NDArray out = RowArray(kShape, {{1, {8, 8}}});
    NDArray other = RowArray(kShape, {{1, {8, 8}}});
    const auto pull = [&](const NDArray& ids) {
      store.PullRowSparse(Ints{2, 1}, {{&other, Ids({0})}, {&out, ids}});
    };
    MUST_THROW(pull(Ids({3, 10})), kOutOfRange, "key 1: row ids from 0 to 9 expected, got 10");
    MUST_THROW(pull(Ids({-1})), kOutOfRange, "got -1");
    for (const float wrong : {-1.0f, 10.0f, 1e30f, std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity()}) {
      MUST_THROW(pull(Array({3, wrong})), kOutOfRange, "key 1: row ids from 0 to 9 expected");
    }
    for (const float wrong : {9.5f, -0.5f, 1e-30f, std::numeric_limits<float>::quiet_NaN()}) {
      MUST_THROW(pull(Array({3, wrong})), kInvalidArgument,
                 fmt::format("key 1: row ids that are whole numbers expected, got {}", wrong));
    }
    for (const NDArray& half : {IdsOf<uint16_t>(DataType::kFloat16, {1}, {0x4580}),
                                IdsOf<uint16_t>(DataType::kBFloat16, {1}, {0x40b0})}) {
      MUST_THROW(pull(half), kInvalidArgument, "row ids that are whole numbers expected, got 5.5");
    }
    store.WaitAll();
    MUST_EQUAL(RowsIn(out), RowMap{{1, {8, 8}}});
    MUST_EQUAL(RowsIn(other), RowMap{{1, {8, 8}}});
    MUST_EQUAL(store.status(1), "OK");
  });
}

}  // namespace kvstore
