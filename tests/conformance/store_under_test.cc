#include "tests/conformance/store_under_test.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <exception>
#include <fstream>

#include "tests/client/device/simulated_gpus.h"
#include "tests/conformance/carrier.h"
#include "tests/support/dist_cluster.h"

namespace kvstore {

void Worker::SetOptimizer(const OptimizerSpec& spec) {
  if (rank_ == 0) store().SetOptimizer(spec);
  store().Barrier();
}

void Worker::Settle() {
  if (kind_.rounds) return;
  store().WaitAll();
  store().Barrier();
}

std::unique_ptr<KVStore> Worker::Reader() { return shared_.cluster->JoinAsReader(kind_.type); }

Floats Worker::Value(int key, const Dims& shape) {
  Settle();
  Floats value = PullFrom(store(), key, shape);
  Settle();
  return value;
}

RowMap Worker::Rows(int key, const Dims& shape) {
  Settle();
  RowMap rows = PullNonZeroRows(store(), key, shape);
  Settle();
  return rows;
}

RowMap Worker::Rows(int key, const Dims& shape, const std::vector<int64_t>& ids) {
  Settle();
  RowMap rows = PullRows(store(), key, shape, Ids(ids));
  Settle();
  return rows;
}

std::vector<std::string> RunOn(const StoreKind& kind, const WorkerBody& given) {
  WorkerBody body = given;
  if (kind.arrays_on_gpus) {
    testing::UseSimulatedGpus();
    KVStore::InitPSEnv({{"KVSTORE_NCCL_LIB", KVS_FAKE_NCCL}});
    body = [&given](Worker& worker) {
      const ArraysOnGpus here;
      given(worker);
    };
  }
  Shared shared(kind);
  if (!kind.dist()) {
    try {
      Worker worker(kind, 0, KVStore::CreateUnique(kind.type), &shared);
      body(worker);
    } catch (const std::exception& error) {
      return {error.what()};
    }
    return {""};
  }
  DistClusterOptions options;
  options.workers = kind.workers;
  options.servers = kind.servers;
  options.shards = kind.shards;
  DistCluster cluster(options, ThisCarrier().make);
  shared.cluster = &cluster;
  return cluster.RunStores(
      [&](std::unique_ptr<KVStore> store, int rank) {
        Worker worker(kind, rank, std::move(store), &shared);
        body(worker);
      },
      kind.type);
}

std::vector<StoreKind> StoresHere(Which which) {
  std::vector<StoreKind> stores;
  for (const StoreKind& kind : AllStores()) {
    if (which(kind) && ThisCarrier().carries(kind)) stores.push_back(kind);
  }
  return stores;
}

namespace {

// For table.py: one line for each sentence on each store, in the file that the variable names.
void NoteInTable(const StoreKind& kind, bool good) {
  const char* const file = std::getenv("KVS_TEST_TABLE");
  if (file == nullptr) return;
  std::ofstream(file, std::ios::app) << Catch::getResultCapture().getCurrentTestName() << '\t'
                                     << kind.Name() << '\t' << (good ? "ok" : "FAILED") << '\n';
}

}  // namespace

void OnEvery(Which which, const WorkerBody& body) {
  for (const StoreKind& kind : StoresHere(which)) {
    INFO(kind.Name());
    const std::vector<std::string> thrown = RunOn(kind, body);
    NoteInTable(kind, thrown == NothingThrown(kind.workers));
    CHECK(thrown == NothingThrown(kind.workers));
  }
  // Else the sentence is about no store at all.
  CHECK(std::any_of(AllStores().begin(), AllStores().end(), which));
}

}  // namespace kvstore
