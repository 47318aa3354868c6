// set_updater: a function of the program that updates the values, where it runs in the process of
// the worker; on the other stores it has no effect but one warning.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <future>
#include <new>
#include <thread>

#include "client/array/ndarray_impl.h"
#include "tests/conformance/store_under_test.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/standard_error.h"

namespace kvstore {
namespace {

const Dims kRows = {10, 2};

// Waits until it is opened, on any thread.
class Gate {
 public:
  void Open() { opened_.set_value(); }
  void Pass() const { open_.wait(); }

 private:
  std::promise<void> opened_;
  std::shared_future<void> open_ = opened_.get_future().share();
};

void Add(const NDArray& merged, NDArray* stored, float factor = 1) {
  for (int64_t i = 0; i < merged.size(); ++i) {
    stored->data_as<float>()[i] += factor * merged.data_as<float>()[i];
  }
}

}  // namespace

TEST_CASE("an updater gets the merged value and the stored one", "[updater]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    Ints keys;
    std::thread::id thread;
    KVStore& store = worker.store();
    store.Init(Ints{3}, {Array({1, 1})});
    store.set_updater([&](int key, const NDArray& merged, NDArray* stored) {
      keys.push_back(key);
      thread = std::this_thread::get_id();
      merged.WaitToRead();  // as updaters written for MXNet do
      stored->WaitToWrite();
      Add(merged, stored, 2);
    });
    const NDArray value = Array({1, 2});
    store.Push(Ints{3, 3}, {value, Array({10, 20})});
    store.Push(Ints{3}, {value});
    MUST_EQUAL(worker.Value(3, 2), Floats{1 + 22 + 2, 1 + 44 + 4});
    MUST_EQUAL(keys, Ints{3, 3});
    MUST(thread != std::this_thread::get_id());
    // The caller's array was lent, not changed.
    MUST_EQUAL(Read(value), Floats{1, 2});
  });
}

TEST_CASE("an updater for string keys gets the names", "[updater]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    std::string seen;
    KVStore& store = worker.store();
    store.Init(Strings{"conv1.weight"}, {Array({1})});
    store.set_updater([&](const std::string& key, const NDArray&, NDArray*) { seen = key; });
    store.Push(Strings{"conv1.weight"}, {Array({1})});
    store.WaitAll();
    MUST_EQUAL(seen, "conv1.weight");
  });
}

TEST_CASE("an updater for the other kind of keys is an error of the push", "[updater]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Strings{"w"}, {Array({1})});
    store.set_updater([](int, const NDArray&, NDArray*) {});
    MUST_THROW(store.Push(Strings{"w"}, {Array({5})}), kFailedPrecondition,
               "key 'w': an updater for string keys expected");
    store.set_updater([](const std::string&, const NDArray& merged, NDArray* stored) {
      std::memcpy(stored->data(), merged.data(), merged.bytes());
    });
    store.Push(Strings{"w"}, {Array({5})});
    store.WaitAll();
  });
}

TEST_CASE("an updater that is set later does not concern earlier pushes", "[updater]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    Gate gate;
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Array({0})});
    store.set_updater([&](int, const NDArray& merged, NDArray* stored) {
      gate.Pass();
      Add(merged, stored);
    });
    store.Push(Ints{1}, {Array({1})});
    store.Push(Ints{1}, {Array({1})});
    store.set_updater([](int, const NDArray& merged, NDArray* stored) {
      stored->data_as<float>()[0] *= merged.data_as<float>()[0];
    });
    store.Push(Ints{1}, {Array({10})});
    gate.Open();
    MUST_EQUAL(worker.Value(1, 1), Floats{20});
  });
}

TEST_CASE("what an updater throws is the error of its key, once, and stays in its status",
          "[updater]") {
  struct Thrown {
    std::function<void()> now;
    ErrorCode code;
    const char* text;
  };
  const std::vector<Thrown> kinds = {
      {[] { throw std::runtime_error("no luck"); }, ErrorCode::kUnknown, "no luck"},
      {[] { throw Error(ErrorCode::kOutOfRange, "no luck"); }, ErrorCode::kOutOfRange, "no luck"},
      {[] { throw 42; }, ErrorCode::kUnknown, "key 1: the updater threw something"},
      {[] { throw std::bad_alloc(); }, ErrorCode::kUnknown,
       "key 1: the updater threw std::bad_alloc"},
      {[] { throw Error(ErrorCode{}, "no luck"); }, ErrorCode::kUnknown, "no luck"},
  };
  const auto& thrown = kinds[static_cast<size_t>(GENERATE(0, 1, 2, 3, 4))];
  const int how = GENERATE(0, 1, 2, 3, 4);
  CAPTURE(thrown.text, how);
  OnEvery(StoreThatRunsUpdaters, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {Array({1}), Array({2})});
    store.set_updater([&](int key, const NDArray&, NDArray*) {
      if (key == 1) thrown.now();
    });
    const NDArray grad = Array({5});
    store.Push(Ints{1, 2}, {grad, Array({6})});
    store.Wait(Ints{2});
    MUST_EQUAL(store.status(2), "OK");
    const auto failed = [&] { return store.status(1) != "OK"; };
    const auto ask = [&] {
      switch (how) {
        case 0:
          return store.Wait(Ints{2, 1});
        case 1:
          return store.WaitAll();
        case 2:
          return grad.WaitToWrite();
        case 3:
          grad.WaitToRead();
          while (!failed()) std::this_thread::yield();
          return store.Push(Ints{1}, {grad});
        default:
          while (!failed()) std::this_thread::yield();
          return store.Barrier();
      }
    };
    if (thrown.code == ErrorCode::kOutOfRange) {
      MUST_THROW(ask(), kOutOfRange, thrown.text);
    } else {
      MUST_THROW(ask(), kUnknown, thrown.text);
    }
    // Once.
    store.WaitAll();
    grad.WaitToWrite();
    store.Barrier();
    MUST(store.status(1).find("the updater threw") != std::string::npos);
    // The store works on.
    store.Push(Ints{2}, {Array({6})});
    store.WaitAll();
  });
}

TEST_CASE("what an updater wrote into a dense value before it threw stays", "[updater]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    worker.store().Init(Ints{1}, {Array({1, 2})});
    worker.store().set_updater([](int, const NDArray&, NDArray* stored) {
      stored->data_as<float>()[1] = 4;
      throw std::runtime_error("enough");
    });
    worker.store().Push(Ints{1}, {Array({5, 5})});
    MUST_THROW(worker.store().Wait(Ints{1}), kUnknown, "key 1: the updater threw enough");
    MUST_EQUAL(worker.Value(1, 2), Floats{1, 4});
  });
}

TEST_CASE("what an updater throws leaves a row_sparse value as it was", "[updater][rows]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    worker.store().Init(Ints{1}, {RowArray(kRows, {{2, {5, 6}}})});
    worker.store().set_updater([](int, const NDArray&, NDArray* stored) {
      stored->data_as<float>()[1] = 4;
      throw std::runtime_error("enough");
    });
    worker.store().Push(Ints{1}, {RowArray(kRows, {{2, {1, 1}}, {3, {1, 1}}})});
    MUST_THROW(worker.store().Wait(Ints{1}), kUnknown, "key 1: the updater threw enough");
    MUST_EQUAL(worker.Rows(1, kRows), RowMap{{2, {5, 6}}});
  });
}

TEST_CASE("calls that wait are refused inside an updater, where they would wait for themselves",
          "[updater]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Array({1})});
    store.set_updater([&](int, const NDArray&, NDArray*) { store.WaitAll(); });
    store.Push(Ints{1}, {Array({1})});
    MUST_THROW(store.WaitAll(), kFailedPrecondition, "made by an updater");
  });
}

TEST_CASE("an updater may push and pull other keys of its store", "[updater]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {Array({0}), Array({0})});
    store.set_updater([&](int key, const NDArray& merged, NDArray* stored) {
      Add(merged, stored);
      if (key == 1) store.Push(Ints{2}, {Array({10})});
    });
    for (int n = 0; n < 3; ++n) store.Push(Ints{1}, {Array({1})});
    store.Wait(Ints{1});
    store.WaitAll();
    MUST_EQUAL(worker.Value(1, 1), Floats{3});
    MUST_EQUAL(worker.Value(2, 1), Floats{30});
  });
}

TEST_CASE("updater and optimizer may take turns on a value of many parts", "[updater]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Filled(kSeveralParts, 1)});
    for (int i = 0; i < 2; ++i) {
      store.set_updater([](int, const NDArray& merged, NDArray* stored) { Add(merged, stored); });
      store.Push(Ints{1, 1}, {Filled(kSeveralParts, 1), Filled(kSeveralParts, 2)});
      store.SetOptimizer(OptimizerSpec("sum"));
      store.Push(Ints{1}, {Filled(kSeveralParts, 4)});
    }
    MUST(worker.Value(1, kSeveralParts) == Floats(kSeveralParts, 15));
  });
}

TEST_CASE("a store destroyed while an exception unwinds does not wait for its queue", "[updater]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    NDArray out({1});
    Gate entered, go;
    try {
      const auto store = KVStore::CreateUnique(worker.kind().type);
      store->Init(Ints{1}, {Array({0})});
      store->set_updater([&](int, const NDArray&, NDArray*) {
        entered.Open();
        go.Pass();
      });
      store->Push(Ints{1}, {Array({1})});
      store->Pull(Ints{1}, {&out});
      entered.Pass();
      go.Open();
      throw std::runtime_error("the training script fails");
    } catch (const std::runtime_error&) {
    }
    // The pull either came to its end or was called off; it does not touch the array any more.
    try {
      out.WaitToRead();
    } catch (const Error& error) {
      MUST(error.code() == ErrorCode::kCancelled);
    }
  });
}

TEST_CASE("an updater sees the rows that were pushed, and these of the value", "[updater][rows]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {RowArray(kRows, {{2, {1, 1}}, {3, {5, 5}}})});
    std::vector<RowMap> seen;
    bool right = true;
    store.set_updater([&](int, const NDArray& merged, NDArray* stored) {
      seen.push_back(RowsIn(merged));
      seen.push_back(RowsIn(*stored));
      right &= merged.storage_type() == StorageType::kRowSparse;
      right &= stored->storage_type() == StorageType::kRowSparse;
      right &= merged.indices() == stored->indices();
      for (size_t i = 0; i < merged.indices().size() * 2; ++i) {
        stored->data_as<float>()[i] += 10 * merged.data_as<float>()[i];
      }
    });
    store.Push(Ints{1}, {RowArray(kRows, {{2, {1, 2}}, {7, {3, 4}}})});
    store.Push(Ints{1, 1}, {RowArray(kRows, {{9, {1, 1}}}), RowArray(kRows, {{2, {1, 1}}})});
    store.Push(Ints{1}, {NDArray::RowSparse(kRows)});
    const RowMap after = worker.Rows(1, kRows);
    MUST(right);
    MUST_EQUAL(seen.size(), size_t{6});
    MUST_EQUAL(seen[0], RowMap{{2, {1, 2}}, {7, {3, 4}}});
    MUST_EQUAL(seen[1], RowMap{{2, {1, 1}}, {7, {0, 0}}});
    MUST_EQUAL(seen[2], RowMap{{2, {1, 1}}, {9, {1, 1}}});
    MUST_EQUAL(seen[3], RowMap{{2, {11, 21}}, {9, {0, 0}}});
    MUST(seen[4].empty());
    MUST_EQUAL(after, RowMap{{2, {21, 31}}, {3, {5, 5}}, {7, {30, 40}}, {9, {10, 10}}});
  });
}

TEST_CASE("row ids that an updater still makes are read when they are there", "[updater][rows]") {
  const bool right = GENERATE(true, false);
  CAPTURE(right);
  OnEvery(StoreThatRunsUpdaters, [&](Worker& worker) {
    KVStore& store = worker.store();
    NDArray ids({2});
    store.Init(Ints{1, 2}, {WithAllRows(Filled(kRows, 3)), ids});
    Gate gate;
    store.set_updater([&](int, const NDArray& merged, NDArray* stored) {
      gate.Pass();
      std::memcpy(stored->data(), merged.data(), merged.bytes());
    });
    store.Push(Ints{2}, {Array({9, right ? 5.0f : 10.0f})});
    store.Pull(Ints{2}, {&ids});
    NDArray out = NDArray::RowSparse(kRows);
    store.PullRowSparse(Ints{1}, {{&out, ids}});
    gate.Open();
    if (right) {
      MUST_EQUAL(RowsIn(out), RowMap{{5, {3, 3}}, {9, {3, 3}}});
    } else {
      MUST_THROW(store.Wait(Ints{1}), kOutOfRange, "key 1: row ids from 0 to 9 expected, got 10");
      MUST(RowsIn(out).empty());
    }
  });
}

TEST_CASE("an updater gets values of every dtype, summed and rounded once", "[updater][dtypes]") {
  constexpr uint64_t kSeed = 20261124;
  CAPTURE(kSeed);
  for (const DataType dtype : testing::kEveryDType) {
    CAPTURE(DataTypeName(dtype));
    const testing::DTypeOracle oracle(ToDType(dtype));
    const Which in_order = [](const StoreKind& kind) {
      return StoreThatRunsUpdaters(kind) && StoreWithTheListsOrder(kind);
    };
    OnEvery(oracle.IsFloat() ? in_order : StoreThatRunsUpdaters, [&](Worker& worker) {
      std::mt19937_64 random(kSeed);
      const std::vector<testing::Bytes> pushed = {
          oracle.Random(random, 67), oracle.Random(random, 67), oracle.Random(random, 67)};
      worker.store().Init(Ints{1}, {testing::ToArray(oracle.Random(random, 67), dtype)});
      bool same_dtype = false;
      worker.store().set_updater([&](int, const NDArray& merged, NDArray* stored) {
        same_dtype = merged.dtype() == dtype && stored->dtype() == dtype;
        std::memcpy(stored->data(), merged.data(), merged.bytes());
      });
      std::vector<NDArray> arrays;
      for (const testing::Bytes& bytes : pushed) arrays.push_back(testing::ToArray(bytes, dtype));
      worker.store().Push(Ints(3, 1), arrays);
      MUST(testing::PulledFrom(worker.store(), 1, 67, dtype) == oracle.Contribution(pushed));
      MUST(same_dtype);
    });
  }
}

TEST_CASE("an updater has no effect but one warning where the values are elsewhere", "[updater]") {
  OnEvery(StoreOfOneWorker, [](Worker& worker) {
    if (worker.kind().runs_updaters) return;
    KVStore& store = worker.store();
    const std::string log = StandardErrorOf([&] {
      store.set_updater([](int, const NDArray&, NDArray*) { std::abort(); });
      store.set_updater([](const std::string&, const NDArray&, NDArray*) { std::abort(); });
    });
    MUST_EQUAL(CountOf("set_updater on a dist store does not reach the servers", log), size_t{1});
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Array({1})});
    store.Push(Ints{1}, {Array({5})});
    MUST_EQUAL(worker.Value(1, 1), Floats{6});
  });
}

}  // namespace kvstore
