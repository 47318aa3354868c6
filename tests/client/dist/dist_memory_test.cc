// What becomes of a worker's operations when its memory runs out.
#include <catch2/catch.hpp>

#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/expect_error.h"
#include "tests/support/failing_new.h"
#include "tests/support/row_arrays.h"

namespace kvstore {

TEST_CASE("outputs of rows for which there is no memory have none on dist", "[dist][memory]") {
  constexpr int64_t kRows = 1 << 13, kColumns = 1 << 9;  // more than a server pools
  constexpr size_t kBytes = kRows * kColumns * sizeof(float);
  DistCluster cluster({1, 1});
  const auto store = cluster.Join(0);
  store->Init(Ints{1}, {RowArray({kRows, kColumns}, {{7, Floats(kColumns, 2)}})});
  std::vector<int64_t> all(kRows);
  for (int64_t row = 0; row < kRows; ++row) all[static_cast<size_t>(row)] = row;
  const NDArray ids = Ids(all);
  NDArray a = NDArray::RowSparse({kRows, kColumns}), b = NDArray::RowSparse({kRows, kColumns});
  const auto pull = [&] { store->PullRowSparse(Ints{1, 1}, {{&a, ids}, {&b, ids}}); };
  {
    const testing::FailingNew failing(kBytes, 1);
    pull();
    CHECK_ERROR(store->Wait(Ints{1}), kResourceExhausted, "key 1: memory for");
    CHECK(failing.failed() == 1);
  }
  CHECK(RowsIn(a).empty());
  CHECK(RowsIn(b).empty());
  pull();
  CHECK(RowsIn(b).at(7) == Floats(kColumns, 2));
}

}  // namespace kvstore
