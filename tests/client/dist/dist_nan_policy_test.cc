// NaNs and infinities in what is pushed: what each policy makes of them, on a cluster and on a
// local store, and what becomes of a job without one policy.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/api/store_facade.h"
#include "client/dist/dist_kvstore.h"
#include "client/local/local_backend.h"
#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/expect_error.h"
#include "tests/support/must.h"

namespace kvstore {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kMax = std::numeric_limits<float>::max();

DistClusterOptions OptionsOf(NanPolicy policy, uint32_t workers = 2) {
  DistClusterOptions options;
  options.workers = workers;
  options.servers = 2;
  options.core.nan_policy = policy;
  return options;
}

std::unique_ptr<KVStore> Local(NanPolicy policy) {
  Environment environment;
  environment.nan_policy = policy;
  return std::make_unique<StoreFacade>("local",
                                       MakeLocalBackend(environment, /*sums_on_devices=*/false));
}

// `elements` values of which a few are not finite; other ones for each worker.
NDArray SomeNotFinite(int rank, int64_t elements) {
  const NDArray array({elements});
  for (int64_t i = 0; i < elements; ++i) {
    const float odd[] = {kNan, -kInf, kInf, -0.0F, kMax};
    array.data_as<float>()[i] = i % 97 == int64_t{13} * (rank + 1)
                                    ? odd[(i / 97) % 5]
                                    : static_cast<float>(i % 1000) * 0.125F - 40;
  }
  return array;
}

std::string BytesOf(const NDArray& array) {
  array.WaitToRead();
  return std::string(static_cast<const char*>(array.data()), array.bytes());
}

}  // namespace

TEST_CASE("reject: a push with a NaN changes nothing, and its worker may push that round again",
          "[dist][nan]") {
  DistCluster cluster(OptionsOf(NanPolicy::kReject));
  CHECK(cluster.Run([](KVStore& store, int rank) {
    store.Init(Ints{7}, {Filled(kSeveralParts, 0)});
    store.Push(Ints{7}, {Filled(kSeveralParts, 1)});
    MUST(PullFrom(store, 7, kSeveralParts).at(0) == 2.0F);
    if (rank == 1) {
      NDArray bad = Filled(kSeveralParts, 1);
      bad.data_as<float>()[kSeveralParts - 3] = kNan;  // in the last part: the first are not sent
      store.Push(Ints{7}, {bad});
      MUST_THROW(store.Wait(Ints{7}), kInvalidArgument,
                 "key 7: worker 1 round 2: element 525286 is nan, nan-policy 'reject' wants finite "
                 "numbers");
    }
    store.Push(Ints{7}, {Filled(kSeveralParts, 3)});
    const Floats values = PullFrom(store, 7, kSeveralParts);
    MUST_EQUAL(values, Floats(static_cast<size_t>(kSeveralParts), 6));
  }) == NothingThrown(2));
}

TEST_CASE("reject: what was left over of earlier pushes stays as it was", "[dist][nan][codec]") {
  DistCluster cluster(OptionsOf(NanPolicy::kReject, 1));
  CHECK(cluster.Run([](KVStore& store, int) {
    store.SetGradientCompression({{"type", "2bit"}, {"threshold", "0.5"}});
    store.Init(Ints{7}, {Array({0, 0})});
    store.Push(Ints{7}, {Array({0.25F, 0.25F})});
    MUST_EQUAL(PullFrom(store, 7, 2), (Floats{0, 0}));
    store.Push(Ints{7}, {Array({0.25F, kInf})});
    MUST_THROW(store.Wait(Ints{7}), kInvalidArgument, "round 2: element 1 is inf");
    // The refused quarter is nowhere: only with the third one is it a half.
    store.Push(Ints{7}, {Array({0, 0.25F})});
    MUST_EQUAL(PullFrom(store, 7, 2), (Floats{0, 0.5F}));
  }) == NothingThrown(1));
}

TEST_CASE("reject: a sum of finite values that is infinite is refused, too", "[dist][nan]") {
  DistCluster cluster(OptionsOf(NanPolicy::kReject, 1));
  CHECK(cluster.Run([](KVStore& store, int) {
    store.Init(Ints{7}, {Filled(3, 1)});
    store.Push(Ints{7, 7}, {Array({1, kMax, 1}), Array({1, kMax, 1})});  // two devices
    MUST_THROW(
        store.Wait(Ints{7}), kInvalidArgument,
        "key 7: worker 0 round 1: the sum of 2 values: element 1 is inf, nan-policy 'reject' "
        "wants finite numbers");
    MUST_EQUAL(PullFrom(store, 7, 3), (Floats{1, 1, 1}));
  }) == NothingThrown(1));
}

TEST_CASE("reject: rows are named by their numbers", "[dist][nan][rows]") {
  DistCluster cluster(OptionsOf(NanPolicy::kReject, 1));
  CHECK(cluster.Run([](KVStore& store, int) {
    const Dims shape = {100, 2};
    store.Init(Ints{7}, {NDArray::RowSparse(shape)});
    const NDArray rows = Filled(Dims{3, 2}, 1);
    rows.data_as<float>()[3] = -kInf;
    store.Push(Ints{7}, {NDArray::RowSparse(shape, {4, 40, 90}, rows)});
    MUST_THROW(store.Wait(Ints{7}), kInvalidArgument, "round 1: row 40 element 1 is -inf");
  }) == NothingThrown(1));
}

TEST_CASE("reject on a local store is the same error, and changes nothing", "[local][nan]") {
  const auto store = Local(NanPolicy::kReject);
  store->Init(Ints{7}, {Filled(3, 1)});
  store->Push(Ints{7, 7}, {Array({1, 2, 3}), Array({1, kNan, 3})});
  CHECK_ERROR(store->Wait(Ints{7}), kInvalidArgument,
              "key 7: worker 0 round 1: value 1 element 1 is nan");
  CHECK(PullFrom(*store, 7, 3) == Floats{1, 1, 1});
}

TEST_CASE("zero: what is not finite counts as 0, with the same bits on local and on a cluster",
          "[dist][nan]") {
  const auto local = Local(NanPolicy::kZero);
  local->Init(Ints{7}, {Filled(kSeveralParts, 5)});
  local->SetOptimizer(OptimizerSpec("sum"));
  const std::vector<NDArray> pushed = {SomeNotFinite(0, kSeveralParts),
                                       SomeNotFinite(1, kSeveralParts)};
  const std::string before = BytesOf(pushed[0]);
  local->Push(Ints{7, 7}, pushed);
  NDArray expected({kSeveralParts});
  local->Pull(Ints{7}, {&expected});
  const std::string bytes = BytesOf(expected);
  for (const float value : Read(expected)) REQUIRE(std::isfinite(value));
  CHECK(BytesOf(pushed[0]) == before);  // the caller's arrays are left alone
  // An element by hand: worker 0 has a NaN there, worker 1 has 13 / 8 - 40.
  CHECK(Read(expected)[13] == 5 + (13 * 0.125F - 40));

  DistCluster cluster(OptionsOf(NanPolicy::kZero));
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{7}, {Filled(kSeveralParts, 5)});
    if (rank == 0) store.SetOptimizer(OptimizerSpec("sum"));
    store.Barrier();
    store.Push(Ints{7}, {SomeNotFinite(rank, kSeveralParts)});
    NDArray out({kSeveralParts});
    store.Pull(Ints{7}, {&out});
    MUST(BytesOf(out) == bytes);
    // Two devices whose sum is infinite: the server zeroes it.
    store.Push(Ints{7, 7}, {Filled(kSeveralParts, kMax), Filled(kSeveralParts, kMax)});
    store.Pull(Ints{7}, {&out});
    MUST(BytesOf(out) == bytes);
  }) == NothingThrown(2));
}

TEST_CASE("zero: rows, too", "[dist][nan][rows]") {
  DistCluster cluster(OptionsOf(NanPolicy::kZero, 1));
  CHECK(cluster.Run([](KVStore& store, int) {
    const Dims shape = {100, 2};
    store.Init(Ints{7}, {NDArray::RowSparse(shape)});
    const NDArray rows = Filled(Dims{2, 2}, 1);
    rows.data_as<float>()[1] = kNan;
    store.Push(Ints{7}, {NDArray::RowSparse(shape, {4, 90}, rows)});
    const Floats values = PullFrom(store, 7, shape);
    MUST_EQUAL((Floats{values[8], values[9], values[180], values[181]}), (Floats{1, 0, 1, 1}));
  }) == NothingThrown(1));
}

TEST_CASE("allow and warn let everything in", "[dist][nan]") {
  const NanPolicy policy = GENERATE(NanPolicy::kAllow, NanPolicy::kWarn);
  DistCluster cluster(OptionsOf(policy, 1));
  CHECK(cluster.Run([](KVStore& store, int) {
    store.Init(Ints{7}, {Filled(3, 1)});
    store.Push(Ints{7}, {Array({kInf, 2, 3})});
    MUST_EQUAL(PullFrom(store, 7, 3), (Floats{kInf, 2, 3}));
  }) == NothingThrown(1));
}

TEST_CASE("a worker whose policy is not the servers' is told so by its first Init", "[dist][nan]") {
  DistCluster cluster(OptionsOf(NanPolicy::kReject, 1));
  Environment other = cluster.WorkerEnvironment(0);
  other.nan_policy = NanPolicy::kZero;
  auto backend = MakeDistBackend(cluster.NewTransport(), other, "dist_sync");
  REQUIRE(backend.ok());
  StoreFacade store("dist_sync", *std::move(backend));
  CHECK_ERROR(
      [&] {
        store.Init(Ints{7}, {Filled(3, 1)});
        store.Wait(Ints{7});
      }(),
      kFailedPrecondition,
      "key 7: nan-policy 'reject' expected, as this server has it, worker 0 has 'zero'");
}

}  // namespace kvstore
