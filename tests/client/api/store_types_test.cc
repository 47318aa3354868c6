// From the name of a type to a store.
#include "client/api/store_types.h"

#include <catch2/catch.hpp>
#include <cctype>

#include "kvstore/kvstore.h"
#include "tests/support/arrays.h"
#include "tests/support/expect_error.h"

namespace kvstore {

TEST_CASE("every name of a local store makes one, in any case of letters", "[types]") {
  const auto type = GENERATE(as<std::string>(), "local", "local_update_cpu", "local_allreduce_cpu",
                             "device", "local_allreduce_device", "LOCAL", "Device");
  CAPTURE(type);
  const auto store = KVStore::CreateUnique(type);
  std::string lower = type;
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  CHECK(store->type() == lower);
  CHECK(store->get_rank() == 0);
  CHECK(store->get_group_size() == 1);
  CHECK(store->get_num_dead_node(kWorkerGroup) == 0);
  store->Init(Ints{3}, {Array({1, 2})});
  store->Push(Ints{3}, {Array({5, 7})});
  CHECK(PullFrom(*store, 3, 2) == Floats{5, 7});
}

TEST_CASE("Create gives what CreateUnique gives", "[types]") {
  std::unique_ptr<KVStore> store(KVStore::Create());
  CHECK(store->type() == "local");
}

TEST_CASE("unknown types of store are errors that list the known ones", "[types]") {
  CHECK_ERROR(KVStore::CreateUnique("foo"), kInvalidArgument,
              "local_allreduce_device, nccl, dist,");
  CHECK_ERROR(KVStore::CreateUnique("foo"), kInvalidArgument, "got 'foo'");
  CHECK_ERROR(KVStore::CreateUnique(""), kInvalidArgument, "got ''");
  CHECK_ERROR(KVStore::Create(nullptr), kInvalidArgument, "got ''");
  // MXNet takes the next one for a local store.
  CHECK_ERROR(KVStore::CreateUnique("distt_sync"), kInvalidArgument, "got 'distt_sync'");
}

TEST_CASE("the names of the dist family mean dist", "[types]") {
  const auto type =
      GENERATE(as<std::string>(), "dist", "dist_sync", "dist_device_sync", "dist_sync_device",
               "Dist_Sync", "p3", "P3", "dist_ssp:0", "Dist_SSP:12", "dist_ssp:1000000000");
  const auto parsed = ParseStoreType(type);
  REQUIRE(parsed.ok());
  CHECK(parsed->family == StoreFamily::kDist);
}

TEST_CASE("a bound on staleness that is no number says what is expected", "[types][ssp]") {
  const auto type =
      GENERATE(as<std::string>(), "dist_ssp", "dist_ssp:", "dist_ssp:-1", "dist_ssp:+1",
               "dist_ssp:x", "dist_ssp:3 ", "dist_ssp: 3", "dist_ssp:3.5", "dist_ssp:03",
               "dist_ssp:1000000001", "dist_ssp:99999999999999999999", "dist_ssp_3");
  CAPTURE(type);
  CHECK_ERROR(KVStore::CreateUnique(type), kInvalidArgument, "dist_ssp:<s> expected");
  CHECK_ERROR(KVStore::CreateUnique(type), kInvalidArgument, "from 0 to 1000000000");
  CHECK_ERROR(KVStore::CreateUnique(type), kInvalidArgument, "got '" + type + "'");
}

TEST_CASE("a store of one process gives nothing that is stale", "[types][ssp]") {
  const auto store = KVStore::CreateUnique("local");
  CHECK_ERROR(store->staleness(3), kNotFound, "key 3");
  store->Init(Ints{3}, {Array({1, 2})});
  store->Push(Ints{3}, {Array({5, 7})});
  CHECK(PullFrom(*store, 3, 2) == Floats{5, 7});
  CHECK(store->staleness(3) == 0);
}

}  // namespace kvstore
