// NDArray of storage row_sparse.
#include <catch2/catch.hpp>

#include "client/array/ndarray_impl.h"
#include "kvstore/ndarray.h"
#include "tests/support/expect_error.h"
#include "tests/support/row_arrays.h"

namespace kvstore {

TEST_CASE("a new row_sparse array has a shape and no rows", "[ndarray][rows]") {
  const NDArray array = NDArray::RowSparse({1000, 2, 3}, DataType::kFloat64);
  CHECK_FALSE(array.empty());
  CHECK(array.storage_type() == StorageType::kRowSparse);
  CHECK(array.shape() == std::vector<int64_t>{1000, 2, 3});
  CHECK(array.dtype() == DataType::kFloat64);
  CHECK(array.size() == 6000);
  CHECK(array.bytes() == 0);
  CHECK(array.indices().empty());
  array.WaitToRead();
  array.WaitToWrite();
}

TEST_CASE("an array of 2^40 elements costs nothing as long as it has no rows", "[ndarray][rows]") {
  CHECK(NDArray::RowSparse({int64_t{1} << 34, 64}).size() == int64_t{1} << 40);
}

TEST_CASE("a row_sparse array shares the bytes and the allocation of its rows", "[ndarray][rows]") {
  const NDArray rows({2, 3});
  for (int i = 0; i < 6; ++i) rows.data_as<float>()[i] = static_cast<float>(i);
  const NDArray array = NDArray::RowSparse({10, 3}, {4, 9}, rows);
  CHECK(array.indices() == std::vector<int64_t>{4, 9});
  CHECK(array.data() == rows.data());
  CHECK(array.bytes() == 24);
  CHECK(array.impl()->var == rows.impl()->var);
  CHECK(RowsIn(array) == RowMap{{4, {0, 1, 2}}, {9, {3, 4, 5}}});
  const NDArray copy = array;  // a handle
  CHECK(copy.indices() == array.indices());
  CHECK(copy.data() == array.data());
}

TEST_CASE("rows that are replaced never touch the caller's bytes", "[ndarray][rows]") {
  const NDArray rows({2, 1});
  const NDArray array = NDArray::RowSparse({10, 1}, {4, 9}, rows);
  const VarPtr var = array.impl()->var;
  reinterpret_cast<float*>(array.impl()->SetRows({1}))[0] = 5;
  CHECK(RowsIn(array) == RowMap{{1, {5}}});
  CHECK(rows.data_as<float>()[0] == 0);
  CHECK(array.impl()->var == var);
  // Our own memory is used again where it is large enough.
  const void* const own = array.data();
  array.impl()->SetRows({});
  CHECK(array.bytes() == 0);
  array.impl()->SetRows({7});
  CHECK(array.data() == own);
}

TEST_CASE("rows that do not fit are refused with what was expected and what came",
          "[ndarray][rows]") {
  const NDArray two({2, 3});
  CHECK_ERROR(NDArray::RowSparse({}), kInvalidArgument, "at least one dimension expected, got []");
  CHECK_ERROR(NDArray::RowSparse({3, 0}), kInvalidArgument, "[3,0]");
  CHECK_ERROR(NDArray::RowSparse({3}, static_cast<DataType>(77)), kInvalidArgument, "77");
  CHECK_ERROR(NDArray::RowSparse({3}, DataType::kFloat32, Context::Gpu()), kFailedPrecondition,
              "gpu(0)");
  CHECK_ERROR(NDArray::RowSparse({10, 3}, {4}, two), kInvalidArgument,
              "rows of shape [1,3] for 1 indices expected, got [2,3]");
  CHECK_ERROR(NDArray::RowSparse({10, 4}, {4, 5}, two), kInvalidArgument,
              "rows of shape [2,4] for 2 indices expected, got [2,3]");
  CHECK_ERROR(NDArray::RowSparse({10, 3}, {}, two), kInvalidArgument, "got [2,3]");
  CHECK_ERROR(NDArray::RowSparse({10, 3}, {1}, NDArray()), kInvalidArgument, "got an empty array");
  CHECK_ERROR(NDArray::RowSparse({10, 3}, {5, 4}, two), kInvalidArgument,
              "ascending indices, each once expected, got 4 after 5");
  CHECK_ERROR(NDArray::RowSparse({10, 3}, {4, 4}, two), kInvalidArgument, "got 4 after 4");
  CHECK_ERROR(NDArray::RowSparse({10, 3}, {4, 10}, two), kOutOfRange,
              "indices from 0 to 9 expected, got 10");
  CHECK_ERROR(NDArray::RowSparse({10, 3}, {-1, 4}, two), kOutOfRange, "got -1");
  CHECK_ERROR(NDArray::RowSparse({10, 3}, {0, 1}, NDArray::RowSparse({2, 3})), kInvalidArgument,
              "rows of storage default expected, got row_sparse");
  CHECK(NDArray::RowSparse({10, 3}, {}, NDArray()).indices().empty());
}

}  // namespace kvstore
