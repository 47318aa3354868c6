// A whole server in a cluster of threads whose shard gets no memory, once, at every place: the job
// goes on as if nothing had been.
#include <catch2/catch.hpp>

#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/failing_new.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

using testing::FailingNth;

constexpr int64_t kRows = 8;
constexpr int64_t kWidth = 3;

}  // namespace

TEST_CASE("a round goes on wherever the shard's memory runs out once", "[shard][memory]") {
  DistCluster cluster({1, 1});
  const auto store = cluster.Join(0);
  store->SetOptimizer(OptimizerSpec("sum"));
  store->Init(Ints{1, 2}, {Filled({kRows, kWidth}, 0), RowArray({kRows, kWidth}, {})});
  const NDArray ones = Filled({kRows, kWidth}, 1);
  float expected = 0;
  int failed = 0;
  int places = 0;
  // The first rounds make what stays: a vector's capacity, a thread's buffers.
  for (int spared = -3; places <= 3; ++spared) {
    CAPTURE(spared);
    NDArray dense({kRows, kWidth});
    NDArray rows = NDArray::RowSparse({kRows, kWidth});
    {
      const FailingNth scarce("shard0", std::max(spared, 0), spared < 0 ? 0 : 1);
      store->Push(Ints{1, 2}, {ones, ones});
      store->Pull(Ints{1}, {&dense});
      store->PullRowSparse(Ints{2}, {{&rows, Array({1, 6})}});
      store->WaitAll();
      failed += scarce.failed();
      places = scarce.failed() > 0 || spared < 0 ? 0 : places + 1;  // rounds without a failure
    }
    expected += 1;
    REQUIRE(Read(dense) == Floats(kRows * kWidth, expected));
    const Floats row(kWidth, expected);
    REQUIRE((RowsIn(rows) == RowMap{{1, row}, {6, row}}));
  }
  // A round takes 40 to 60 pieces of memory on the shard: requests come in more or fewer frames.
  CHECK(failed > 20);
}

TEST_CASE("an Init goes on, or is refused, wherever the shard's memory runs out once",
          "[shard][memory]") {
  DistCluster cluster({1, 1});
  const auto store = cluster.Join(0);
  int failed = 0;
  int without = 0;
  for (int spared = 0; without <= 3; ++spared) {
    CAPTURE(spared);
    const int key = spared + 1;
    const NDArray value = Filled({kRows, kWidth}, 7);
    {
      const FailingNth scarce("shard0", spared, 1);
      try {
        store->Init(Ints{key}, {value});
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::kResourceExhausted);
        REQUIRE(error.definite());
        store->Init(Ints{key}, {value});  // now there is memory
      }
      failed += scarce.failed();
      without = scarce.failed() > 0 ? 0 : without + 1;
    }
    NDArray out({kRows, kWidth});
    store->Pull(Ints{key}, {&out});
    REQUIRE(Read(out) == Floats(kRows * kWidth, 7));
  }
  CHECK(failed > 20);
}

}  // namespace kvstore
