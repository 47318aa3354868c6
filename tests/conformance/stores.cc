// The list of stores that the sentences of this folder run on. A new type of store is one line.
#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

StoreKind OfOneProcess(const std::string& type) {
  StoreKind kind;
  kind.type = type;
  kind.runs_updaters = true;
  return kind;
}

// The short list is what runs over gRPC, and under ThreadSanitizer.
enum ShortList : bool { kNotInShortList = false, kInShortList = true };

StoreKind Synchronous(const std::string& type, uint32_t workers, uint32_t servers, uint32_t shards,
                      ShortList in_short_list = kNotInShortList) {
  StoreKind kind;
  kind.type = type;
  kind.workers = workers;
  kind.servers = servers;
  kind.shards = shards;
  kind.in_short_list = in_short_list;
  return kind;
}

StoreKind Asynchronous(const std::string& type, uint32_t workers, uint32_t servers, uint32_t shards,
                       ShortList in_short_list = kNotInShortList) {
  StoreKind kind = Synchronous(type, workers, servers, shards, in_short_list);
  kind.rounds = false;
  kind.skips_empty_pushes = true;
  return kind;
}

StoreKind Bounded(int64_t staleness, uint32_t workers, uint32_t servers, uint32_t shards,
                  ShortList in_short_list = kNotInShortList) {
  StoreKind kind =
      Synchronous("dist_ssp:" + std::to_string(staleness), workers, servers, shards, in_short_list);
  kind.rounds = false;
  kind.staleness = staleness;
  return kind;
}

StoreKind WithArraysOnGpus(StoreKind kind) {
  kind.arrays_on_gpus = true;
  return kind;
}

// On GPUs alone it is another store than `device`.
StoreKind OfNccl() {
  StoreKind kind = WithArraysOnGpus(OfOneProcess("nccl"));
  kind.adds_floats_in_its_own_order = true;
  return kind;
}

}  // namespace

const std::vector<StoreKind>& AllStores() {
  static const std::vector<StoreKind> stores = {
      OfOneProcess("local"),
      OfOneProcess("device"),
      WithArraysOnGpus(OfOneProcess("device")),
      OfNccl(),
      // Workers, servers, shards of each.
      Synchronous("dist_sync", 1, 1, 1),
      Synchronous("dist_sync", 1, 2, 2),
      Synchronous("dist_sync", 2, 1, 1),
      Synchronous("dist_sync", 2, 2, 1, kInShortList),
      Synchronous("p3", 3, 1, 2),
      Synchronous("dist_sync", 3, 2, 1),
      Synchronous("dist_device_sync", 2, 5, 2),
      Asynchronous("dist_async", 1, 2, 1, kInShortList),
      Asynchronous("dist_async", 3, 2, 2),
      Asynchronous("dist_device_async", 2, 1, 1),
      Bounded(0, 2, 1, 1),
      Bounded(1, 1, 2, 1),
      Bounded(2, 3, 2, 2, kInShortList),
      WithArraysOnGpus(Synchronous("dist_device_sync", 2, 2, 1)),
      WithArraysOnGpus(Asynchronous("dist_device_async", 2, 2, 1)),
  };
  return stores;
}

std::string StoreKind::Name() const {
  const std::string arrays = arrays_on_gpus ? ", arrays on GPUs" : "";
  if (!dist()) return type + arrays;
  return type + ", " + std::to_string(workers) + " workers, " + std::to_string(servers) +
         " servers of " + std::to_string(shards) + " shards" + arrays;
}

}  // namespace kvstore
