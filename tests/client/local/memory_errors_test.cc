// What becomes of a local store's operations when memory runs out: a typed error, and nothing that
// is half done without being said so.
#include <catch2/catch.hpp>
#include <future>
#include <optional>
#include <set>
#include <utility>

#include "kvstore/kvstore.h"
#include "tests/support/arrays.h"
#include "tests/support/expect_error.h"
#include "tests/support/failing_new.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

using testing::FailingNew;

// Pushes `gradient` to key 1, which is `initial`, once for every place where memory may run out:
// fails the first allocation of `bytes` or more, then the second, and so on. Expects what the codes
// say: after RESOURCE_EXHAUSTED nothing has happened. Returns all codes that came.
std::set<ErrorCode> PushWhereverMemoryRunsOut(const NDArray& initial, const NDArray& gradient,
                                              const OptimizerSpec& optimizer, size_t bytes) {
  std::set<ErrorCode> codes;
  for (int spared = 0;; ++spared) {
    CAPTURE(spared);
    const auto store = KVStore::CreateUnique();
    store->SetOptimizer(optimizer);
    store->Init(Ints{1}, {initial});
    const std::vector<float> before = PullFrom(*store, 1, initial.shape());
    bool done = true;
    {
      const FailingNew failing(bytes, spared);
      store->Push(Ints{1}, {gradient});
      try {
        store->WaitAll();
      } catch (const Error& error) {
        done = false;
        codes.insert(error.code());
        CHECK_THAT(error.what(), Catch::Contains("key 1: memory for"));
        if (error.code() != ErrorCode::kResourceExhausted) continue;
        CHECK(error.definite());
      }
    }
    if (!done) {
      CHECK((PullFrom(*store, 1, initial.shape()) == before));
      store->Push(Ints{1}, {gradient});  // now there is memory
    }
    const std::vector<float> after = PullFrom(*store, 1, initial.shape());
    CHECK(after.front() == 3);
    CHECK(after.back() == 3);
    CHECK(std::count(after.begin(), after.end(), 3.0f) == gradient.size());
    if (done) return codes;
  }
}

}  // namespace

TEST_CASE("a push without memory has done nothing, or says that it has done a part", "[memory]") {
  // -1 * -3 is added to 0. Three parts, each with a momentum.
  const auto codes = PushWhereverMemoryRunsOut(
      Filled(Dims{3, 1 << 18}, 0), Filled(Dims{3, 1 << 18}, -3),
      OptimizerSpec("sgd").Set("learning_rate", 1).Set("momentum", 0.9), 1 << 20);
  CHECK(codes == std::set<ErrorCode>{ErrorCode::kResourceExhausted, ErrorCode::kUnknown});
}

TEST_CASE(
    "a push of several arrays without memory on any of its threads is whole, or says what it is",
    "[memory]") {
  // Several parts, so that other threads help.
  const char* const thread = GENERATE("kvs-local", "kvs-reduce");
  const auto [optimizer, sign] =
      GENERATE(std::pair(OptimizerSpec("assign"), 1.0f),
               std::pair(OptimizerSpec("sgd").Set("learning_rate", 1).Set("momentum", 0.9), -1.0f));
  const NDArray one = Filled(kSeveralParts, sign);
  const NDArray two = Filled(kSeveralParts, 2 * sign);
  CAPTURE(thread, sign);
  for (int spared = 0, failed = 1; failed > 0; ++spared) {
    CAPTURE(spared);
    const auto store = KVStore::CreateUnique();
    store->SetOptimizer(optimizer);
    store->Init(Ints{1}, {Filled(kSeveralParts, 0)});
    std::optional<ErrorCode> code;
    {
      const testing::FailingNth failing(thread, spared, testing::FailingNth::kAll);
      store->Push(Ints{1, 1}, {one, two});
      try {
        store->WaitAll();
      } catch (const Error& error) {
        code = error.code();
      }
      failed = failing.failed();
    }
    const std::vector<float> after = PullFrom(*store, 1, kSeveralParts);
    const auto pushed = std::count(after.begin(), after.end(), 3.0f);
    REQUIRE(pushed + std::count(after.begin(), after.end(), 0.0f) == kSeveralParts);
    if (!code) {
      CHECK(pushed == kSeveralParts);
    } else if (*code == ErrorCode::kResourceExhausted) {
      CHECK(pushed == 0);
    } else {
      CHECK(*code == ErrorCode::kUnknown);
    }
  }
}

TEST_CASE("a push of rows without memory has done nothing", "[memory]") {
  const std::vector<int64_t> shape = {3, 1 << 16};
  const auto [optimizer, gradient] =
      GENERATE(std::pair(OptimizerSpec("assign"), 3.0f), std::pair(OptimizerSpec("sum"), 3.0f),
               std::pair(OptimizerSpec("sgd").Set("learning_rate", 1).Set("momentum", 0.9), -3.0f));
  const auto codes = PushWhereverMemoryRunsOut(NDArray::RowSparse(shape), Filled(shape, gradient),
                                               optimizer, sizeof(float) << 16);
  CHECK(codes == std::set<ErrorCode>{ErrorCode::kResourceExhausted});
}

TEST_CASE("row ids for which there is no memory are refused, at once or as the key's error",
          "[memory]") {
  constexpr int64_t kIds = 1 << 20;
  const auto store = KVStore::CreateUnique();
  NDArray ids({kIds}, DataType::kUInt8);
  store->Init(Ints{1, 2, 3}, {RowArray({10, 2}, {{0, {3, 4}}}), ids, Filled(1, 0)});
  NDArray out = NDArray::RowSparse({10, 2});
  const auto pull = [&] { store->PullRowSparse(Ints{1}, {{&out, ids}}); };
  const char* const text = "key 1: memory for 1048576 row ids expected";
  SECTION("at once") {
    const FailingNew failing(kIds * sizeof(int64_t));
    CHECK_ERROR(pull(), kResourceExhausted, text);
    CHECK(failing.failed() == 1);
    store->WaitAll();
  }
  SECTION("behind a pull into them") {
    std::promise<void> go;
    store->set_updater(
        [gone = go.get_future().share()](int, const NDArray&, NDArray*) { gone.wait(); });
    store->Push(Ints{3}, {Filled(1, 0)});
    store->Pull(Ints{2}, {&ids});
    const FailingNew failing(kIds * sizeof(int64_t));
    pull();
    CHECK(failing.failed() == 0);  // they are not read yet
    go.set_value();
    CHECK_ERROR(store->Wait(Ints{1}), kResourceExhausted, text);
    CHECK(failing.failed() == 1);
  }
  pull();
  CHECK(RowsIn(out) == RowMap{{0, {3, 4}}});
}

}  // namespace kvstore
