// Row-sparse values on the stores of a cluster.
#include <catch2/catch.hpp>

#include "tests/client/dist_cluster.h"
#include "tests/client/expect_error.h"
#include "tests/client/row_arrays.h"

namespace kvstore {
namespace {

using Ints = std::vector<int>;

void MustBe(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what);
}

}  // namespace

TEST_CASE("a row_sparse push to a key of default storage is zero elsewhere", "[dist][rows]") {
  // Of one part and of several.
  const std::vector<int64_t> shape = {GENERATE(int64_t{100}, 10000), 64};
  DistCluster cluster({2, 3});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {NDArray(shape)});
    if (rank == 0) store.SetOptimizer(OptimizerSpec("sum"));
    store.Barrier();
    const auto f = static_cast<float>(rank + 1);
    const int64_t last = shape[0] - 1;
    const NDArray one = RowArray(shape, {{rank, std::vector<float>(64, f)}});
    const NDArray two =
        RowArray(shape, {{5, std::vector<float>(64, f)}, {last, std::vector<float>(64, 1)}});
    store.Push(Ints{1}, {one});
    store.Push(Ints{1, 1}, {one, two});
    NDArray out(shape);
    store.Pull(Ints{1}, {&out});
    MustBe(NonZeroRowsIn(out) == RowMap{{0, std::vector<float>(64, 2)},
                                        {1, std::vector<float>(64, 4)},
                                        {5, std::vector<float>(64, 3)},
                                        {last, std::vector<float>(64, 2)}},
           "not the sums");
  }) == NothingThrown(2));
}

}  // namespace kvstore
