// Row-sparse values on the stores of a cluster.
#include <catch2/catch.hpp>

#include "tests/support/dist_cluster.h"
#include "tests/support/must.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

using Ints = std::vector<int>;
using Shape = std::vector<int64_t>;

void MustBe(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what);
}

std::vector<float> Row(const Shape& shape, float value) {
  return std::vector<float>(static_cast<size_t>(shape[1]), value);
}

}  // namespace

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

}  // namespace kvstore
