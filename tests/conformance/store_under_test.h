// What every type of KVStore promises, as tests: a sentence is written once and runs on every store
// of one list (stores.cc). A new type of store joins by one line there.
//
//   TEST_CASE("Init stores a copy, never the caller's array", "[init]") {
//     OnEvery(Store, [](Worker& worker) {
//       const NDArray value = Array({1, 2});
//       worker.store().Init(Ints{1}, {value});
//       ...
//       MUST_EQUAL(worker.Value(1, 2), Floats{1, 2});
//     });
//   }
//
// The body runs once for every worker of a store, in a thread of its own: it checks with MUST,
// MUST_EQUAL and MUST_THROW (tests/support/must.h), never with Catch2. What it throws fails the
// test with the name of the store and the rank of the worker.
//
// The executables differ in what carries a cluster's messages (carrier.h).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kvstore/kvstore.h"
#include "tests/support/arrays.h"
#include "tests/support/meeting.h"
#include "tests/support/must.h"
#include "tests/support/row_arrays.h"

namespace kvstore {

class DistCluster;

// A type of store and the size of its cluster.
struct StoreKind {
  std::string type;  // what Create is given
  uint32_t workers = 1;
  uint32_t servers = 0;  // none: a store of one process
  uint32_t shards = 1;   // of each server

  // What the types may differ in.
  bool rounds = true;  // a push is a contribution to a round; else an update of its own
  // Of a store without rounds: a push without rows is nothing; else it counts as any other.
  bool skips_empty_pushes = false;
  // A pull waits until no worker is more than so many pushes behind; -1: never for others.
  int64_t staleness = -1;
  bool runs_updaters = false;  // set_updater's function runs in this process
  // The worker's arrays are on simulated GPUs (ArraysOnGpus): what the store gives is the same.
  bool arrays_on_gpus = false;
  // What several GPUs have of floats is added in an order of its own, not in that of the list.
  bool adds_floats_in_its_own_order = false;
  bool in_short_list = false;  // it stands for others where all would take too long

  bool dist() const { return servers > 0; }
  std::string Name() const;  // "dist_sync, 3 workers, 2 servers of 1 shard"
};

// The list.
const std::vector<StoreKind>& AllStores();

// Which stores a sentence is about.
using Which = bool (*)(const StoreKind& kind);
inline bool Store(const StoreKind&) { return true; }
inline bool StoreWithRounds(const StoreKind& kind) { return kind.rounds; }
inline bool StoreWithoutRounds(const StoreKind& kind) { return !kind.rounds; }
inline bool StoreThatSkipsEmptyPushes(const StoreKind& kind) { return kind.skips_empty_pushes; }
inline bool StoreWithBound(const StoreKind& kind) { return kind.staleness >= 0; }
// Every pull has one answer: nobody else pushes between a worker's push and its pull.
inline bool StoreWithOneOrder(const StoreKind& kind) { return kind.rounds || kind.workers == 1; }
inline bool StoreOfOneWorker(const StoreKind& kind) { return kind.workers == 1; }
inline bool StoreOfSeveralWorkers(const StoreKind& kind) { return kind.workers > 1; }
inline bool StoreThatRunsUpdaters(const StoreKind& kind) { return kind.runs_updaters; }
inline bool DistStore(const StoreKind& kind) { return kind.dist(); }
// Also a list of floats that several GPUs have is summed in its order.
inline bool StoreWithTheListsOrder(const StoreKind& kind) {
  return !kind.adds_floats_in_its_own_order;
}

// What the workers of a store share beside the store.
struct Shared {
  explicit Shared(const StoreKind& kind) : meeting(static_cast<int>(kind.workers)) {}
  Meeting meeting;
  std::atomic<int> counter{0};
  DistCluster* cluster = nullptr;  // of a dist store
};

// One worker of a store, in its thread.
class Worker {
 public:
  Worker(const StoreKind& kind, int rank, std::unique_ptr<KVStore> store, Shared* shared)
      : kind_(kind), rank_(rank), store_(std::move(store)), shared_(*shared) {}

  const StoreKind& kind() const { return kind_; }
  int rank() const { return rank_; }
  int workers() const { return static_cast<int>(kind_.workers); }
  // The number of workers, and the sum of rank + 1 over them, as factors of what all push.
  float all() const { return static_cast<float>(workers()); }
  float all_ranks() const { return static_cast<float>(workers() * (workers() + 1)) / 2; }

  KVStore& store() { return *store_; }
  void DestroyStore() { store_.reset(); }
  // Meets the other workers, whatever the store does.
  void Meet() { shared_.meeting.Arrive(); }
  std::atomic<int>& counter() { return shared_.counter; }
  // A store beside the job of a dist store, that only reads its values.
  std::unique_ptr<KVStore> Reader();

  // Rank 0 sets it; afterwards all have it.
  void SetOptimizer(const OptimizerSpec& spec);
  // What everybody pushed so far is in the value, and nobody has pushed anything later: call it
  // between a push and its pull, and between the pull and the next push. Rounds need nothing of it.
  void Settle();

  // The value of a key, with all pushes of all workers so far (see Settle).
  Floats Value(int key, const Dims& shape);
  Floats Value(int key, int64_t elements) { return Value(key, Dims{elements}); }
  // The same, of rows: those that are not zero; those that are asked for.
  RowMap Rows(int key, const Dims& shape);
  RowMap Rows(int key, const Dims& shape, const std::vector<int64_t>& ids);

 private:
  const StoreKind& kind_;
  const int rank_;
  std::unique_ptr<KVStore> store_;
  Shared& shared_;
};

// Runs `body` as every worker of a fresh store of `kind`; what each threw ("" for nothing).
using WorkerBody = std::function<void(Worker& worker)>;
std::vector<std::string> RunOn(const StoreKind& kind, const WorkerBody& body);

// The stores of the list that `which` names and this executable can carry.
std::vector<StoreKind> StoresHere(Which which);

// Runs `body` on each of StoresHere, one after the other, and checks that it throws nothing.
void OnEvery(Which which, const WorkerBody& body);

}  // namespace kvstore
