// A process as a member of a cluster, as programs see it: KVStore::CreateUnique over real
// connections, several stores of one process, forked children.
#include <catch2/catch.hpp>

#include "common/transport/factory/make_transport.h"
#include "kvstore/kvstore.h"
#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/expect_error.h"
#include "tests/support/forked_child.h"

namespace kvstore {
namespace {

// A scheduler and a server for one worker, over real connections, which InitPSEnv points this
// process to.
class GrpcCluster {
 public:
  GrpcCluster() : cluster_({1, 1}, [] { return MakeTransport(); }) {
    const std::string& address = cluster_.scheduler_address();
    KVStore::InitPSEnv({{"DMLC_PS_ROOT_URI", "127.0.0.1"},
                        {"DMLC_PS_ROOT_PORT", address.substr(address.rfind(':') + 1)},
                        {"DMLC_ROLE", "worker"},
                        {"DMLC_NUM_WORKER", "1"}});
  }

 private:
  DistCluster cluster_;
};

}  // namespace

TEST_CASE("values of many parts go to servers and back over gRPC", "[process]") {
  GrpcCluster cluster;
  const auto store = KVStore::CreateUnique("dist_sync");
  constexpr int64_t kElements = (1 << 18) * 9 + 5;  // more than one stream's window
  NDArray value({kElements}), out({kElements});
  for (int64_t i = 0; i < kElements; ++i) value.data_as<float>()[i] = static_cast<float>(i % 1001);
  store->Init(Ints{1}, {Filled(kElements, 0)});
  for (int round = 0; round < 3; ++round) store->PushPull(Ints{1}, Ints{1}, {value}, {&out});
  out.WaitToRead();
  bool same = true;
  for (int64_t i = 0; i < kElements; ++i) {
    same = same && out.data_as<float>()[i] == static_cast<float>(i % 1001);
  }
  CHECK(same);
}

TEST_CASE("the dist stores of one process share one membership", "[process]") {
  GrpcCluster cluster;
  auto first = KVStore::CreateUnique("dist_sync");
  const auto second = KVStore::CreateUnique("dist");  // the same type by another name
  CHECK(first->get_rank() == second->get_rank());
  CHECK_ERROR(KVStore::CreateUnique("dist_device_sync"), kFailedPrecondition, "'dist_sync'");
  CHECK_ERROR(KVStore::CreateUnique("dist_device_sync"), kFailedPrecondition, "'dist_device_sync'");
  first->Init(Ints{1}, {Filled(3, 1)});
  // Refused, of the same shape or one of more parts: that takes nothing away from the first.
  CHECK_ERROR(second->Init(Ints{1}, {Filled(3, 5)}), kAlreadyExists, "key 1");
  CHECK_ERROR(second->Init(Ints{1}, {Filled(1 << 20, 5)}), kInvalidArgument, "key 1");
  NDArray kept({3});
  first->Pull(Ints{1}, {&kept});
  kept.WaitToRead();
  CHECK(kept.data_as<float>()[2] == 1);
  second->Init(Ints{2}, {Filled(3, 2)});
  CHECK_ERROR(first->Leave(), kFailedPrecondition, "another dist store");
  first.reset();  // meets nobody and leaves nothing: the second goes on
  NDArray out({3});
  second->PushPull(Ints{2}, Ints{2}, {Filled(3, 7)}, {&out});
  out.WaitToRead();
  CHECK(out.data_as<float>()[2] == 7);
  second->Leave();
  CHECK_ERROR(KVStore::CreateUnique("dist_sync"), kFailedPrecondition, "");
}

TEST_CASE("a forked child of a member can do nothing, and the parent goes on", "[process]") {
  GrpcCluster cluster;
  auto store = KVStore::CreateUnique("dist_sync");
  store->Init(Ints{1}, {Filled(3, 1)});
  NDArray array({3});
  CHECK(InForkedChild([&] {
          const int refused = FirstNotRefused({
              [&] { store->Push(Ints{1}, {array}); },
              [&] { store->Pull(Ints{1}, {&array}); },
              [&] { store->WaitAll(); },
              [&] { store->Barrier(); },
              [&] { store->Leave(); },
              [&] { (void)store->get_num_dead_node(kWorkerGroup); },
              [&] { KVStore::CreateUnique("dist_sync"); },
          });
          store.reset();
          return refused;
        }) == 0);
  NDArray out({3});
  store->PushPull(Ints{1}, Ints{1}, {Filled(3, 5)}, {&out});
  out.WaitToRead();
  CHECK(out.data_as<float>()[0] == 5);
  store->Barrier();
}

}  // namespace kvstore
