// dcasgd with per_worker on stores without rounds: what each worker has seen is its own, on every
// server, and goes through a file.
#include <catch2/catch.hpp>
#include <map>

#include "tests/conformance/store_under_test.h"
#include "tests/support/folder.h"

namespace kvstore {
namespace {

using testing::Folder;

// The weight that dcasgd makes with per_worker, learning_rate and lamda 1, of pushes in turn.
class PerWorkerModel {
 public:
  void Push(int rank, float gradient) {
    const float seen = seen_.try_emplace(rank, weight).first->second;
    weight -= gradient + gradient * gradient * (weight - seen);
    seen_[rank] = weight;
  }
  float weight = 8;

 private:
  std::map<int, float> seen_;
};

OptimizerSpec PerWorker() {
  return OptimizerSpec("dcasgd").Set("learning_rate", 1).Set("lamda", 1).Set("per_worker", 1);
}

// The workers push one after the other, three times over, each with all of its parts before the
// next one does.
void PushInTurn(Worker& worker, const Ints& keys, PerWorkerModel* model) {
  for (int turn = 0; turn < 3; ++turn) {
    for (int rank = 0; rank < worker.workers(); ++rank) {
      const float gradient = (turn + rank) % 2 == 0 ? 0.5f : -0.25f;
      if (rank == worker.rank()) {
        const std::vector<NDArray> pushed(keys.size(), Filled(kSeveralParts, gradient));
        worker.store().Push(keys, pushed);
        worker.store().WaitAll();
      }
      worker.Meet();
      model->Push(rank, gradient);
    }
  }
}

}  // namespace

TEST_CASE("dcasgd corrects a push for what others pushed since its worker's last one",
          "[async][optimizer]") {
  OnEvery(StoreWithoutRounds, [](Worker& worker) {
    worker.SetOptimizer(PerWorker());
    worker.store().Init(Ints{1}, {Filled(kSeveralParts, 8)});
    PerWorkerModel model;
    PushInTurn(worker, {1}, &model);
    MUST(worker.Value(1, kSeveralParts) == Floats(kSeveralParts, model.weight));
  });
}

TEST_CASE("what is kept of each worker goes through a file, and on from there", "[async][states]") {
  const Folder folder;
  const std::string file = folder.File("states");
  OnEvery(StoreWithoutRounds, [&](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(PerWorker());
    store.Init(Ints{1}, {Filled(kSeveralParts, 8)});
    PerWorkerModel model;
    PushInTurn(worker, {1}, &model);
    const NDArray then = Filled(kSeveralParts, model.weight);
    if (worker.rank() == 0) store.SaveOptimizerStates(file);
    store.Barrier();
    PushInTurn(worker, {1}, &model);
    const Floats expected(kSeveralParts, model.weight);
    MUST(worker.Value(1, kSeveralParts) == expected);
    store.Barrier();
    store.Delete(Ints{1});
    store.Init(Ints{1}, {then});
    store.LoadOptimizerStates(file);
    store.Barrier();
    PerWorkerModel ignored;
    PushInTurn(worker, {1}, &ignored);
    MUST(worker.Value(1, kSeveralParts) == expected);
    // Without what was kept it would be another one.
    store.Barrier();
    store.Delete(Ints{1});
    store.Init(Ints{1}, {then});
    PushInTurn(worker, {1}, &ignored);
    if (worker.workers() > 1) MUST(worker.Value(1, kSeveralParts) != expected);
  });
}

TEST_CASE("what each worker has seen is refused where an update is by the sum of all",
          "[optimizer]") {
  OnEvery(DistStore, [](Worker& worker) {
    KVStore& store = worker.store();
    if (worker.kind().rounds && worker.rank() == 0) {
      MUST_THROW(store.SetOptimizer(PerWorker()), kInvalidArgument,
                 "an asynchronous store expected, whose updates are by one worker's push each");
    }
    store.Init(Ints{1}, {Filled(3, 8)});
    if (worker.kind().rounds) return;
    worker.SetOptimizer(PerWorker());
    const Dims shape = {4, 2};
    store.Init(Ints{2}, {NDArray::RowSparse(shape)});
    store.Push(Ints{2}, {RowArray(shape, {{1, {1, 1}}})});
    MUST_THROW(store.Wait(Ints{2}), kInvalidArgument,
               "per_worker = 0 expected for a row_sparse key, got 1");
  });
}

}  // namespace kvstore
