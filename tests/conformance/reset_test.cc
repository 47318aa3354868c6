// Reset: a key begins anew with the value that it has; and Keys: which ones there are.
#include <catch2/catch.hpp>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

// What an update does depends on all that came before it.
OptimizerSpec Momentum() {
  return OptimizerSpec("sgd").Set("learning_rate", 0.25).Set("momentum", 0.5);
}

void Settled(Worker& worker) {
  worker.store().WaitAll();
  worker.Settle();
  worker.store().Barrier();
}

std::string TextOf(const std::vector<KeyInfo>& keys) {
  std::string text;
  for (const KeyInfo& key : keys) {
    text += key.name + ":" + DataTypeName(key.dtype);
    for (const int64_t dimension : key.shape) text += "," + std::to_string(dimension);
    text += key.storage == StorageType::kRowSparse ? " row_sparse;" : ";";
  }
  return text;
}

}  // namespace

TEST_CASE("a key that all reset has the bits of a fresh one with its value", "[reset]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const int64_t n = kSeveralParts;
    worker.SetOptimizer(Momentum());
    store.Init(Ints{1, 2}, {Filled(n, 3), Filled(n, 3)});
    for (int round = 0; round < 3; ++round) {
      store.Push(Ints{1, 2}, {Filled(n, 0.75F), Filled(n, 0.75F)});
      Settled(worker);
    }
    const Floats value = worker.Value(1, n);
    MUST(worker.Value(2, n) == value);
    Settled(worker);
    store.Reset(Ints{1});
    MUST(PullFrom(store, 1, n) == value);
    store.Barrier();
    store.Init(Ints{3}, {Array(value)});
    for (int round = 0; round < 2; ++round) {
      store.Push(Ints{1, 2, 3}, {Filled(n, 0.5F), Filled(n, 0.5F), Filled(n, 0.5F)});
      Settled(worker);
      const Floats after = worker.Value(1, n);
      MUST(after == worker.Value(3, n));
      MUST(after != worker.Value(2, n));  // whose momentum went on
      Settled(worker);
    }
  });
}

TEST_CASE("a row_sparse key that all reset has the bits of a fresh one with its rows",
          "[reset][rows]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const Dims shape = {300000, 2};  // stripes
    const std::vector<int64_t> ids = {0, 7, 299999};
    const auto push = [&](const Ints& keys, float value) {
      RowMap rows;
      for (const int64_t id : ids) rows[id] = {value, -value};
      store.Push(keys, std::vector<NDArray>(keys.size(), RowArray(shape, rows)));
      Settled(worker);
    };
    worker.SetOptimizer(Momentum());
    const NDArray first = RowArray(shape, {{7, {1, 2}}, {9, {3, 4}}});
    store.Init(Ints{1, 2}, {first, first});
    push({1, 2}, 0.75F);
    push({1, 2}, 0.25F);
    const RowMap rows = worker.Rows(1, shape);
    Settled(worker);
    store.Reset(Ints{1});
    store.Barrier();
    store.Init(Ints{3}, {RowArray(shape, rows)});
    push({1, 2, 3}, 0.5F);
    const RowMap after = worker.Rows(1, shape);
    MUST(after == worker.Rows(3, shape));
    MUST(after != worker.Rows(2, shape));
  });
}

TEST_CASE("what compression has left over of a key is forgotten when it is reset",
          "[reset][codec]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression({{"type", "2bit"}, {"threshold", "0.5"}, {"min_bytes", "0"}});
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Filled(5, 4)});
    for (int life = 0; life < 3; ++life) {
      store.Push(Ints{1}, {Filled(5, 0.3F)});  // too little to be sent
      MUST_EQUAL(worker.Value(1, 5), Floats(5, 4));
      Settled(worker);
      store.Reset(Ints{1});
    }
    store.Push(Ints{1}, {Filled(5, 0.3F)});
    store.Push(Ints{1}, {Filled(5, 0.3F)});  // enough with what was left over
    MUST_EQUAL(worker.Value(1, 5), Floats(5, 4 + 0.5F * worker.all()));
  });
}

TEST_CASE("a Reset of what there is not is refused, and resets nothing", "[reset][errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(Momentum());
    store.Init(Ints{1, 2}, {Filled(5, 1), Filled(5, 1)});
    store.Push(Ints{1, 2}, {Filled(5, 1), Filled(5, 1)});
    Settled(worker);
    MUST_THROW(store.Reset(Ints{1, 9}), kNotFound, "key 9");
    MUST_THROW(store.Reset(Ints{1, 1}), kInvalidArgument, "Reset: distinct keys expected");
    store.Push(Ints{1, 2}, {Filled(5, 1), Filled(5, 1)});
    Settled(worker);
    const Floats value = worker.Value(1, 5);
    MUST(value == worker.Value(2, 5));
    Settled(worker);
    store.Reset(Ints{1, 2});
    store.Barrier();
    store.Delete(Ints{1});
    MUST_THROW(store.Reset(Ints{1}), kNotFound, "key 1");
    MUST(PullFrom(store, 2, 5) == value);
  });
}

TEST_CASE("the keys of a store are listed by number or by name, those with a prefix alone",
          "[keys]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    MUST_EQUAL(TextOf(store.Keys()), "");
    store.Barrier();
    store.Init(Ints{10, 9, -3, 1}, {Filled(Dims{2, 3}, 1), Filled(1, 1), Filled(2, 1),
                                    RowArray({6, 2}, {{4, {1, 2}}})});
    MUST_EQUAL(TextOf(store.Keys()), "-3:f32,2;1:f32,6,2 row_sparse;9:f32,1;10:f32,2,3;");
    MUST_EQUAL(TextOf(store.Keys("1")), "1:f32,6,2 row_sparse;10:f32,2,3;");
    MUST_EQUAL(TextOf(store.Keys("2")), "");
    MUST_THROW(store.Init(Ints{9}, {Filled(1, 1)}), kAlreadyExists, "key 9");
    store.Barrier();
    store.Delete(Ints{1, 9});
    MUST_EQUAL(TextOf(store.Keys()), "-3:f32,2;10:f32,2,3;");
  });
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const NDArray half({2}, DataType::kFloat16);
    // Those that bring no value know what it is when their Init is done.
    const auto of = [&](const NDArray& value) { return worker.rank() == 0 ? value : NDArray(); };
    store.Init(Strings{"net.w", "net.b", "other"}, {of(half), of(Filled(3, 1)), of(Filled(1, 1))});
    MUST_EQUAL(TextOf(store.Keys("net.")), "net.b:f32,3;net.w:f16,2;");
    MUST_EQUAL(TextOf(store.Keys()), "net.b:f32,3;net.w:f16,2;other:f32,1;");
  });
}

}  // namespace kvstore
