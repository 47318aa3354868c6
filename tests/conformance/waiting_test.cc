// Waiting: how the end of what was queued, and its failure, reach the program.
//
// The failure here is one that every type of store finds late: an optimizer with factors cannot
// update a key of ints, which is known only where the value is.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "tests/conformance/store_under_test.h"
#include "tests/support/standard_error.h"

namespace kvstore {
namespace {

constexpr int kGood = 2, kBad = 3;
constexpr char kRefusal[] = "optimizer 'sgd': dtype f32, f64, f16 or bf16 expected, got i32";

// A store with an optimizer that updates kGood (f32) and not kBad (i32). Returns an array for kBad.
NDArray BeginWithABadKey(Worker& worker) {
  const NDArray ints({4}, DataType::kInt32);
  worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5));
  worker.store().Init(Ints{kGood, kBad}, {Filled(3, 8), ints});
  return ints;
}

void AwaitFailure(KVStore& store) {
  while (store.status(kBad) == "OK") std::this_thread::yield();
}

}  // namespace

TEST_CASE("a failure found late is thrown by the next call that waits or uses the key, once",
          "[waiting]") {
  struct Way {
    const char* name;
    std::function<void(KVStore& store, const NDArray& pushed, NDArray* pulled)> ask;
  };
  const std::vector<Way> ways = {
      {"Wait",
       [](KVStore& store, const NDArray&, NDArray*) {
         store.Wait(Ints{kGood, kBad});
       }},
      {"WaitAll", [](KVStore& store, const NDArray&, NDArray*) { store.WaitAll(); }},
      {"WaitToWrite", [](KVStore&, const NDArray& pushed, NDArray*) { pushed.WaitToWrite(); }},
      {"Barrier",
       [](KVStore& store, const NDArray&, NDArray*) {
         AwaitFailure(store);
         store.Barrier();
       }},
      {"Push",
       [](KVStore& store, const NDArray& pushed, NDArray*) {
         AwaitFailure(store);
         store.Push(Ints{kBad}, {pushed});
       }},
      {"Pull",
       [](KVStore& store, const NDArray&, NDArray* pulled) {
         AwaitFailure(store);
         store.Pull(Ints{kBad}, {pulled});
       }},
  };
  for (const Way& way : ways) {
    CAPTURE(way.name);
    OnEvery(Store, [&](Worker& worker) {
      const NDArray bad = BeginWithABadKey(worker);
      NDArray pulled({4}, DataType::kInt32);
      KVStore& store = worker.store();
      store.Push(Ints{kBad}, {bad});
      MUST_THROW(way.ask(store, bad, &pulled), kInvalidArgument, kRefusal);
      store.WaitAll();
      bad.WaitToWrite();
      store.Wait(Ints{kBad});
      MUST(store.status(kBad).find(kRefusal) != std::string::npos);
      // Other keys were not concerned, and the store works on.
      MUST_EQUAL(store.status(kGood), "OK");
      store.Push(Ints{kGood}, {Filled(3, 2)});
      MUST_EQUAL(worker.Value(kGood, 3), Floats(3, 8 - worker.all()));
    });
  }
}

TEST_CASE("the array of a PushPull whose push failed says so and holds the value as it is",
          "[waiting]") {
  OnEvery(Store, [](Worker& worker) {
    const NDArray bad = BeginWithABadKey(worker);
    NDArray out({4}, DataType::kInt32);
    worker.store().PushPull(Ints{kBad}, Ints{kBad}, {bad}, {&out});
    MUST_THROW(out.WaitToRead(), kInvalidArgument, kRefusal);
    worker.store().Pull(Ints{kBad}, {&out});
    out.WaitToRead();
    MUST_EQUAL(out.data_as<int32_t>()[3], 0);
  });
}

TEST_CASE("the error of a key says which key, and whether it is certain", "[waiting]") {
  OnEvery(Store, [](Worker& worker) {
    const NDArray bad = BeginWithABadKey(worker);
    worker.store().Push(Ints{kBad}, {bad});
    try {
      worker.store().WaitAll();
      MUST(false);
    } catch (const Error& error) {
      MUST_EQUAL(error.key(), "3");
      MUST(error.code() == ErrorCode::kInvalidArgument);
      MUST(error.definite());
      // A store that keeps parts of a value by themselves says which part, too.
      MUST(std::string(error.what()).find("INVALID_ARGUMENT: key 3") == 0);
    }
  });
}

TEST_CASE("Wait waits for its keys, WaitAll for all", "[waiting]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {Filled(kSeveralParts, 0), Filled(kSeveralParts, 0)});
    NDArray one({kSeveralParts}), two({kSeveralParts});
    const Floats sum(kSeveralParts, worker.all());
    store.PushPull(Ints{1, 2}, {1, 2}, {Filled(kSeveralParts, 1), Filled(kSeveralParts, 1)},
                   {&one, &two});
    store.Wait(Ints{1});
    MUST(std::equal(sum.begin(), sum.end(), one.data_as<float>()));  // without WaitToRead
    store.WaitAll();
    MUST(std::equal(sum.begin(), sum.end(), two.data_as<float>()));
    store.Wait(Ints{});
    store.Wait(Ints{1, 1, 2});
  });
}

TEST_CASE("a store that is destroyed finishes its work first", "[waiting]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    worker.SetOptimizer(OptimizerSpec("sum"));
    worker.store().Init(Ints{1}, {Filled(kSeveralParts, 0)});
    NDArray out({kSeveralParts});
    for (int i = 0; i < 20; ++i) worker.store().Push(Ints{1}, {Filled(kSeveralParts, 1)});
    worker.store().Pull(Ints{1}, {&out});
    worker.DestroyStore();
    MUST(Read(out) == Floats(kSeveralParts, 20 * worker.all()));
  });
}

TEST_CASE("errors that nobody asked for are logged when the store is destroyed", "[waiting]") {
  const bool unwinds = GENERATE(false, true);
  CAPTURE(unwinds);
  // What is logged is seen on standard error, of which a process has one.
  OnEvery(StoreOfOneWorker, [&](Worker& worker) {
    const NDArray bad = BeginWithABadKey(worker);
    const std::string log = StandardErrorOf([&] {
      worker.store().Push(Ints{kBad}, {bad});
      AwaitFailure(worker.store());
      if (!unwinds) return worker.DestroyStore();
      struct Destroyer {
        Worker& worker;
        ~Destroyer() { worker.DestroyStore(); }
      } destroyer{worker};
      throw std::runtime_error("the training script fails");
    });
    MUST(log.find("a store was destroyed before anybody asked for this error: INVALID_ARGUMENT: "
                  "key 3") != std::string::npos);
    MUST(log.find(kRefusal) != std::string::npos);
  });
}

}  // namespace kvstore
