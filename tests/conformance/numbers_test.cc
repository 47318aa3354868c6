// SetOptimizerNumbers and Step: numbers of the optimizer that change at a step.
#include <catch2/catch.hpp>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

// Whether an update comes from one push: of a store of one process all workers' are one.
float Rates(const Worker& worker, std::initializer_list<float> rates) {
  float sum = 0;
  for (const float rate : rates) sum += rate;
  return sum * worker.all();
}

}  // namespace

TEST_CASE("a number changes exactly from its step on, for every key and part", "[numbers]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    const Ints keys = {1, 2, 3};
    store.Init(keys, {Filled(kSeveralParts, 64), Array({64}), Array({64})});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    const auto push = [&](const Ints& of) {
      std::vector<NDArray> values;
      for (const int key : of) values.push_back(Filled(key == 1 ? kSeveralParts : 1, 1));
      store.Push(of, values);
    };
    store.Step();  // 1
    push(keys);
    store.SetOptimizerNumbers({{"learning_rate", "0.5"}}, 3);
    push({1});     // still step 1, though after the call
    store.Step();  // 2
    push(keys);
    store.Step();  // 3
    push(keys);
    push({2});
    store.SetOptimizerNumbers({{"learning_rate", "0.25"}}, 4);
    store.Step();  // 4
    push({1, 3});
    // Nothing of the order of calls counts but the steps.
    const auto value = [&](std::initializer_list<float> rates) {
      return 64 - Rates(worker, rates);
    };
    MUST(worker.Value(1, kSeveralParts) ==
         Floats(static_cast<size_t>(kSeveralParts), value({1, 1, 1, 0.5f, 0.25f})));
    MUST_EQUAL(worker.Value(2, 1), Floats{value({1, 1, 0.5f, 0.5f})});
    MUST_EQUAL(worker.Value(3, 1), Floats{value({1, 1, 0.5f, 0.25f})});
  });
}

TEST_CASE("changed numbers keep the momentum, also of rows", "[numbers]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {Array({0}), RowArray({4, 1}, {})});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("momentum", 0.5));
    const auto push = [&] { store.Push(Ints{1, 2}, {Array({1}), RowArray({4, 1}, {{2, {1}}})}); };
    store.Step();
    push();
    store.SetOptimizerNumbers({{"momentum", "1"}, {"learning_rate", "0.25"}}, 2);
    store.Step();
    push();
    const float n = worker.all();
    const float first = -0.5f * n, second = first - 0.25f * n;
    MUST_EQUAL(worker.Value(1, 1), Floats{first + second});
    MUST_EQUAL(worker.Rows(2, {4, 1}), (RowMap{{2, {first + second}}}));
  });
}

TEST_CASE("without Step the first push of a key that was pushed begins the next step",
          "[numbers]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {Array({64}), Array({64})});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    store.SetOptimizerNumbers({{"learning_rate", "0.5"}}, 1);
    store.SetOptimizerNumbers({{"learning_rate", "0.25"}}, 2);
    store.Push(Ints{1}, {Array({1})});  // step 0
    store.Push(Ints{2}, {Array({1})});
    store.Push(Ints{2}, {Array({1})});  // step 1
    store.Push(Ints{1}, {Array({1})});
    store.Push(Ints{1, 2}, {Array({1}), Array({1})});  // step 2
    const float expected = 64 - Rates(worker, {1, 0.5f, 0.25f});
    MUST_EQUAL(worker.Value(1, 1), Floats{expected});
    MUST_EQUAL(worker.Value(2, 1), Floats{expected});
  });
}

TEST_CASE("once a program calls Step only that counts", "[numbers]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Array({64})});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    store.Step();
    store.SetOptimizerNumbers({{"learning_rate", "0.5"}}, 2);
    for (int i = 0; i < 3; ++i) store.Push(Ints{1}, {Array({1})});  // all of step 1
    store.Step();
    store.Push(Ints{1}, {Array({1})});
    MUST_EQUAL(worker.Value(1, 1), Floats{64 - Rates(worker, {1, 1, 1, 0.5f})});
  });
}

TEST_CASE("of two changes the greater step counts from there on, at one step the later call",
          "[numbers]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Array({64})});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    store.SetOptimizerNumbers({{"learning_rate", "0.25"}}, 3);
    store.SetOptimizerNumbers({{"learning_rate", "4"}}, 2);
    store.SetOptimizerNumbers({{"learning_rate", "0.5"}}, 2);
    for (int step = 1; step <= 4; ++step) {
      store.Step();
      store.Push(Ints{1}, {Array({1})});
    }
    MUST_EQUAL(worker.Value(1, 1), Floats{64 - Rates(worker, {1, 0.5f, 0.25f, 0.25f})});
  });
}

TEST_CASE("a later SetOptimizer forgets the changes", "[numbers]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Array({64})});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    store.SetOptimizerNumbers({{"learning_rate", "0.5"}}, 1);
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 2));
    store.Step();
    store.Push(Ints{1}, {Array({1})});
    MUST_EQUAL(worker.Value(1, 1), Floats{64 - Rates(worker, {2})});
  });
}

TEST_CASE("numbers are checked before any is changed, and refused by name", "[numbers]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    if (worker.rank() == 0) {
      MUST_THROW(store.SetOptimizerNumbers({{"wd", "0"}}, 1), kFailedPrecondition,
                 "an optimizer that SetOptimizer has set");
    }
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    MUST_THROW(store.SetOptimizerNumbers({}, 1), kInvalidArgument,
               "at least one number expected, got none");
    MUST_THROW(store.SetOptimizerNumbers({{"wd", "0"}, {"wd", "0"}}, 1), kInvalidArgument,
               "'wd' comes twice");
    MUST_THROW(store.SetOptimizerNumbers({{"wd", "much"}}, 1), kInvalidArgument,
               "wd: a number expected, got 'much'");
    MUST_THROW(store.SetOptimizerNumbers({{"wd", "0"}}, 0), kInvalidArgument,
               "a from_step of at least 1 expected, got 0");
    if (worker.rank() == 0) {
      MUST_THROW(store.SetOptimizerNumbers({{"weight", "0"}}, 1), kInvalidArgument,
                 "learning_rate, wd");
      MUST_THROW(store.SetOptimizerNumbers({{"wd", "-1"}}, 1), kInvalidArgument,
                 "wd: a finite number >= 0");
      MUST_THROW(store.SetOptimizerNumbers({{"momentum", "0.5"}}, 1), kInvalidArgument,
                 "that takes SetOptimizer");
      MUST_THROW(store.SetOptimizerNumbers({{"multi_precision", "1"}}, 1), kInvalidArgument,
                 "is fixed by SetOptimizer");
    }
    store.Step();
    store.Step();
    if (worker.rank() == 0) {
      MUST_THROW(store.SetOptimizerNumbers({{"wd", "0"}}, 2), kInvalidArgument,
                 "above 2, the step that this worker is at");
      store.SetOptimizerNumbers({{"wd", "0"}}, 3);
    } else {
      store.SetOptimizerNumbers({{"wd", "0"}}, 1);  // checked, and nothing done
    }
    store.Barrier();
  });
}

TEST_CASE("rank 0's call counts", "[numbers]") {
  OnEvery(StoreOfSeveralWorkers, [](Worker& worker) {
    if (!worker.kind().rounds) return;
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Array({64})});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    // The others may be steps ahead: a round is of rank 0's step.
    if (worker.rank() > 0) {
      store.SetOptimizerNumbers({{"learning_rate", "100"}}, 1);
      for (int step = 0; step < 5; ++step) store.Step();
    } else {
      store.SetOptimizerNumbers({{"learning_rate", "0.5"}}, 2);
    }
    for (int round = 0; round < 3; ++round) {
      store.Step();
      store.Push(Ints{1}, {Array({1})});
    }
    MUST_EQUAL(worker.Value(1, 1), Floats{64 - Rates(worker, {1, 0.5f, 0.5f})});
  });
}

TEST_CASE("set_updater takes the place of the optimizer and its numbers", "[numbers]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sgd"));
    store.set_updater([](int, const NDArray&, NDArray*) {});
    MUST_THROW(store.SetOptimizerNumbers({{"wd", "0"}}, 1), kFailedPrecondition,
               "set_updater has replaced it");
  });
}

}  // namespace kvstore
