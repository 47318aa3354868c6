// Init: how keys come to be.
#include <catch2/catch.hpp>
#include <thread>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

// What rank 0 brings; the others nothing.
NDArray OfRank0(const Worker& worker, const NDArray& value) {
  return worker.rank() == 0 ? value : NDArray();
}

}  // namespace

TEST_CASE("Init stores a copy, never the caller's array", "[init]") {
  OnEvery(Store, [](Worker& worker) {
    const NDArray value = Array({1, 2, 3});
    worker.store().Init(Ints{1}, {value});
    const Floats others = {99, 98, 97};
    value.SyncCopyFromCPU(others.data(), 3);
    MUST_EQUAL(PullFrom(worker.store(), 1, 3), Floats{1, 2, 3});
  });
}

TEST_CASE("keys are ints or strings, one or a list of them in a call", "[init]") {
  OnEvery(Store, [](Worker& worker) {
    worker.store().Init(Ints{7, -3, 0}, {Array({7}), Array({-3}), Array({0.5f})});
    worker.store().Init(Ints{2147483647}, {Array({8, 9})});
    MUST_EQUAL(PullFrom(worker.store(), -3, 1), Floats{-3});
    MUST_EQUAL(PullFrom(worker.store(), 0, 1), Floats{0.5f});
    MUST_EQUAL(PullFrom(worker.store(), 2147483647, 2), Floats{8, 9});
  });
  OnEvery(Store, [](Worker& worker) {
    const Strings keys = {"w", "net0/conv1.weight:0-A_9", std::string(256, 'x')};
    worker.store().Init(keys, {Array({1}), Array({2}), Array({3})});
    NDArray a({1}), b({1}), c({1});
    worker.store().Pull(Strings{keys[2], keys[0], keys[1]}, {&c, &a, &b});
    MUST_EQUAL(Read(a), Floats{1});
    MUST_EQUAL(Read(b), Floats{2});
    MUST_EQUAL(Read(c), Floats{3});
  });
}

TEST_CASE("values of many parts come back whole", "[init][push]") {
  const int64_t elements = GENERATE(1, 7, 1 << 18, (1 << 18) + 1, kSeveralParts);
  CAPTURE(elements);
  OnEvery(Store, [&](Worker& worker) {
    const NDArray a({elements}), b({elements});
    Floats sum;
    for (int64_t i = 0; i < elements; ++i) {
      a.data_as<float>()[i] = static_cast<float>(i);
      b.data_as<float>()[i] = static_cast<float>(i % 1001);
      sum.push_back(static_cast<float>(i) + worker.all() * (static_cast<float>(i % 1001) + 1));
    }
    worker.store().Init(Ints{1}, {a});
    MUST(PullFrom(worker.store(), 1, elements) == Read(a));
    worker.SetOptimizer(OptimizerSpec("sum"));
    worker.store().Push(Ints{1, 1}, {b, Filled(elements, 1)});
    MUST(worker.Value(1, elements) == sum);
  });
}

TEST_CASE("a key is initialised once, and a refused Init changes nothing", "[init][errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {Array({1, 2}), Array({3})});
    MUST_THROW(store.Init(Ints{1}, {Array({8, 9})}), kAlreadyExists,
               "key 1 is initialised already");
    MUST_THROW(store.Init(Ints{1}, {Array({7, 8, 9})}), kAlreadyExists, "key 1");
    MUST_THROW(store.Init(Ints{3, 2}, {Array({7}), Array({8})}), kAlreadyExists, "key 2");
    MUST_THROW(store.Init(Ints{3, 3}, {Array({7}), Array({8})}), kInvalidArgument,
               "key 3 comes twice");
    // Nothing of these calls was queued.
    MUST_EQUAL(store.status(3), "NOT_FOUND: key 3 was never initialised");
    MUST_EQUAL(PullFrom(store, 1, 2), Floats{1, 2});
    MUST_EQUAL(PullFrom(store, 2, 1), Floats{3});
    store.Init(Ints{3}, {Array({5})});
    MUST_EQUAL(PullFrom(store, 3, 1), Floats{5});
  });
}

TEST_CASE("an empty array brings nothing, so rank 0 may not give one", "[init][errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    if (worker.rank() == 0) {
      MUST_THROW(store.Init(Ints{3, 4}, {Array({1}), NDArray()}), kInvalidArgument,
                 "key 4: an array expected, got an empty one");
      MUST_EQUAL(store.status(3), "NOT_FOUND: key 3 was never initialised");
    }
    store.Barrier();
    store.Init(Ints{3, 4}, {OfRank0(worker, Array({1})), OfRank0(worker, Array({2}))});
    MUST_EQUAL(PullFrom(store, 4, 1), Floats{2});
  });
}

TEST_CASE("rank 0's values count, in any order of keys and number of calls", "[init]") {
  OnEvery(StoreOfSeveralWorkers, [](Worker& worker) {
    // Rank 0 one by one, rank 1 backwards and without values, others in one call with other values.
    KVStore& store = worker.store();
    const Strings names = {"a", "b", "c"};
    const auto value = [](size_t i) { return static_cast<float>(i) + 1; };
    if (worker.rank() == 0) {
      for (size_t i = 0; i < 3; ++i)
        store.Init(Strings{names[i]}, {Filled(kSeveralParts, value(i))});
    } else if (worker.rank() == 1) {
      for (size_t i = 3; i-- > 0;) store.Init(Strings{names[i]}, {NDArray()});
    } else {
      store.Init(names, std::vector<NDArray>(3, Filled(kSeveralParts, 77)));
    }
    // At once, whether or not the last part is there already.
    for (size_t i = 0; i < 3; ++i) {
      NDArray out({kSeveralParts});
      store.Pull(Strings{names[i]}, {&out});
      MUST(Read(out) == Floats(kSeveralParts, value(i)));
    }
  });
}

TEST_CASE("a worker that gave Init an empty array knows the key afterwards", "[init]") {
  OnEvery(StoreOfSeveralWorkers, [](Worker& worker) {
    KVStore& store = worker.store();
    const NDArray value = Filled(Dims{2, 3}, 1);
    store.Init(Ints{1}, {OfRank0(worker, value)});
    // Of as many bytes, of fewer, of more parts, of another dtype: nothing of these is pushed.
    const auto refused = [&](const NDArray& array, const char* message) {
      MUST_THROW(store.Push(Ints{1}, {array}), kInvalidArgument, message);
      NDArray out = array;
      MUST_THROW(store.Pull(Ints{1}, {&out}), kInvalidArgument, message);
    };
    refused(NDArray({3, 2}), "key 1: shape [2,3] expected, got [3,2]");
    refused(NDArray({1}), "key 1: shape [2,3] expected, got [1]");
    refused(NDArray({kSeveralParts}), "key 1: shape [2,3] expected, got [");
    refused(NDArray({3}, DataType::kInt64), "expected, got i64");
    refused(NDArray({2, 3}, DataType::kInt32), "expected, got i32");
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Push(Ints{1}, {value});
    MUST_EQUAL(worker.Value(1, Dims{2, 3}), Floats(6, 1 + worker.all()));
  });
}

TEST_CASE("a worker whose Init differs from rank 0's is told what was expected", "[init][errors]") {
  struct Other {
    NDArray array;
    const char* message;
  };
  // The last has parts that rank 0's value has not, on servers that know nothing of the key.
  const auto other = GENERATE(Other{NDArray({5}), "key 1: shape [6] of f32 expected"},
                              Other{NDArray({6}, DataType::kInt32), "key 1: "},
                              Other{NDArray::RowSparse({6}), "key 1: "},
                              Other{NDArray({4 * kSeveralParts}), "key 1: shape [6] of f32 "});
  OnEvery(StoreOfSeveralWorkers, [&](Worker& worker) {
    worker.store().set_barrier_before_exit(false);
    if (worker.rank() == 0) {
      worker.store().Init(Ints{1}, {NDArray({6})});
    } else {
      MUST_THROW(worker.store().Init(Ints{1}, {other.array}), kInvalidArgument, other.message);
    }
    worker.store().Barrier();
    // The job goes on.
    worker.store().Init(Ints{2}, {OfRank0(worker, Array({3}))});
    MUST_EQUAL(PullFrom(worker.store(), 2, 1), Floats{3});
  });
}

TEST_CASE("a key is used after its Init is done, not before", "[init]") {
  OnEvery(StoreOfSeveralWorkers, [](Worker& worker) {
    KVStore& store = worker.store();
    if (worker.rank() == 0) {
      store.Barrier();  // the others have begun, and tried
      store.Init(Ints{1}, {Array({3})});
      return;
    }
    std::thread init([&] { store.Init(Ints{1}, {NDArray()}); });
    NDArray out({1});
    // Not known at all until the other thread has begun.
    ErrorCode code = ErrorCode::kNotFound;
    while (code == ErrorCode::kNotFound) {
      try {
        store.Pull(Ints{1}, {&out});
        code = ErrorCode::kUnknown;
      } catch (const Error& error) {
        code = error.code();
      }
    }
    store.Barrier();
    init.join();
    MUST_EQUAL(std::string(ErrorCodeName(code)), "FAILED_PRECONDITION");
    MUST_EQUAL(PullFrom(store, 1, 1), Floats{3});
  });
}

TEST_CASE("Broadcast gives rank 0's value to all", "[init]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    NDArray value = Filled(kSeveralParts, static_cast<float>(worker.rank() + 5));
    store.Broadcast(Ints{1}, Ints{1}, {value}, {&value});  // in place
    MUST(Read(value) == Floats(kSeveralParts, 5));
    NDArray a({2}), b({2});
    store.Broadcast(Ints{7}, {7, 7}, {Array({3, 4})}, {&a, &b});
    MUST_EQUAL(Read(a), Floats{3, 4});
    MUST_EQUAL(Read(b), Floats{3, 4});
    // What the Pull would refuse is refused before the Init.
    NDArray wrong({3});
    MUST_THROW(store.Broadcast(Ints{8}, {8}, {Array({1, 2})}, {&wrong}), kInvalidArgument,
               "key 8: shape [2] expected, got [3]");
    MUST_THROW(store.Broadcast(Ints{8}, {9}, {Array({1, 2})}, {&a}), kNotFound, "key 9");
    store.Broadcast(Ints{8}, {8}, {Array({1, 2})}, {&a});
    MUST_EQUAL(Read(a), Floats{1, 2});
  });
}

TEST_CASE("a key that all delete is gone, and may be made anew with another shape",
          "[init][delete]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {Filled(5, 1), Filled(kSeveralParts, 2)});
    store.Push(Ints{1, 2}, {Filled(5, 1), Filled(kSeveralParts, 1)});
    MUST_EQUAL(worker.Value(1, 5), Floats(5, 1 + worker.all()));
    store.WaitAll();
    store.Barrier();
    MUST_THROW(store.Delete(Ints{1, 9}), kNotFound, "key 9");
    MUST_THROW(store.Delete(Ints{1, 1}), kInvalidArgument, "comes twice");
    store.Delete(Ints{1, 2});
    NDArray out({5});
    MUST_THROW(store.Pull(Ints{1}, {&out}), kNotFound, "key 1");
    MUST_THROW(store.Push(Ints{2}, {Filled(kSeveralParts, 1)}), kNotFound, "key 2");
    MUST_THROW(store.Delete(Ints{1}), kNotFound, "key 1");
    store.Init(Ints{1, 2}, {Filled(kSeveralParts, 7), Filled(3, 8)});
    store.Push(Ints{1, 2}, {Filled(kSeveralParts, 1), Filled(3, 1)});
    MUST(worker.Value(1, kSeveralParts) == Floats(kSeveralParts, 7 + worker.all()));
    MUST_EQUAL(worker.Value(2, 3), Floats(3, 8 + worker.all()));
  });
}

TEST_CASE("what compression has left over of a key goes with it", "[init][delete]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression({{"type", "2bit"}, {"threshold", "0.5"}, {"min_bytes", "0"}});
    worker.SetOptimizer(OptimizerSpec("sum"));
    for (int life = 0; life < 3; ++life) {
      store.Init(Ints{1}, {Filled(5, 4)});
      store.Push(Ints{1}, {Filled(5, 0.3F)});  // too little to be sent
      MUST_EQUAL(worker.Value(1, 5), Floats(5, 4));
      store.WaitAll();
      store.Barrier();
      store.Delete(Ints{1});
    }
  });
}

}  // namespace kvstore
