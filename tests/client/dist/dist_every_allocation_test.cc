// Every call of the public API on a dist_sync store, with each of its allocations failing in turn.
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/dist_cluster.h"
#include "tests/support/every_allocation.h"

namespace kvstore {
namespace {

using testing::FailingNth;

// A store of a new cluster, which goes with it. Two servers: parts go both ways.
class Clusters {
 public:
  std::unique_ptr<KVStore> NewStore() {
    DistClusterOptions options;
    options.servers = 2;
    options.on_command = [](uint32_t) {
      return [](WorkerRank, const Command&, std::function<void(absl::Status)> done) {
        std::thread([done = std::move(done)] { done(absl::OkStatus()); }).detach();
      };
    };
    auto cluster = std::make_unique<DistCluster>(options);
    std::unique_ptr<KVStore> store = cluster->Join(0);
    clusters_.push_back(std::move(cluster));
    return store;
  }
  // Of stores that are gone.
  void Clear() { clusters_.clear(); }

 private:
  std::vector<std::unique_ptr<DistCluster>> clusters_;
};

}  // namespace

TEST_CASE("a call on a dist store without memory changes nothing and may be called again",
          "[dist][memory]") {
  const int fails = GENERATE(1, FailingNth::kAll);
  Clusters clusters;
  for (const testing::Named& named : testing::Calls()) {
    if (named.name == std::string("Pull of rows")) continue;  // local stores have it
    testing::FailEachAllocation([&] { return clusters.NewStore(); }, named, "", fails);
    clusters.Clear();
  }
}

TEST_CASE("a dist operation without memory on the thread that sums ends with an error",
          "[dist][memory]") {
  const int fails = GENERATE(1, FailingNth::kAll);
  Clusters clusters;
  for (const testing::Named& named : testing::Calls()) {
    if (std::string(named.name).rfind("Push", 0) != 0) continue;  // nothing else is summed
    testing::FailEachAllocation([&] { return clusters.NewStore(); }, named, "kvs-sums", fails);
    clusters.Clear();
  }
}

TEST_CASE("a compressed push without memory leaves nothing over, and may be made again",
          "[dist][memory][codec]") {
  // All that fail from one on: what was encoded would wait for memory for ever.
  Clusters clusters;
  const auto make = [&] {
    auto store = clusters.NewStore();
    store->SetGradientCompression({{"type", "2bit"}, {"threshold", "1.5"}});
    return store;
  };
  for (const testing::Named& named : testing::Calls()) {
    if (std::string(named.name).rfind("Push", 0) != 0) continue;
    testing::FailEachAllocation(make, named, "", 1);
    testing::FailEachAllocation(make, named, "kvs-sums", 1);
    clusters.Clear();
  }
}

}  // namespace kvstore
