// SaveOptimizerStates and LoadOptimizerStates: a file that does not depend on the store, and bits
// that go on.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <random>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "tests/conformance/store_under_test.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/folder.h"
#include "tests/support/only_races.h"

namespace kvstore {
namespace {

using testing::Bytes;
using testing::Folder;
using testing::kOnlyRaces;

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

struct TestKey {
  std::string name;
  DataType dtype = DataType::kFloat32;
  Dims shape;
  bool row_sparse = false;
};

// Dense keys of one part and of several, row_sparse ones of one stripe and of 61; a name with the
// character that stands between a key and its state.
const std::vector<TestKey> kDenseKeys = {
    {"conv/weight", DataType::kFloat32, {(1 << 18) + 1001}},
    {"conv", DataType::kFloat64, {67}},
    {"half", DataType::kFloat16, {7, 131}},
    {"none", DataType::kFloat32, {0, 3}},
};
const std::vector<TestKey> kRowKeys = {
    {"low", DataType::kFloat32, {1501, 7}, true},
    {"high", DataType::kFloat32, {1502, 180}, true},
    {"halves", DataType::kFloat16, {1504, 400}, true},
};

// Finite, so that files can be compared byte by byte: which NaN comes out is not defined.
NDArray Contribution(const TestKey& key, int rank, int round) {
  std::mt19937_64 random(static_cast<uint64_t>(key.shape[0] * 1000 + int64_t{rank} * 100 + round));
  const auto filled = [&](const Dims& shape) {
    const NDArray wide(shape, DataType::kFloat32);
    std::uniform_real_distribution<float> numbers(-1, 1);
    std::generate_n(wide.data_as<float>(), wide.size(), [&] { return numbers(random); });
    if (key.dtype == DataType::kFloat32) return wide;
    const NDArray array(shape, key.dtype);
    const auto store = KVStore::CreateUnique("local");  // converts
    store->Init(Ints{0}, {wide});
    NDArray output = array;
    store->Pull(Ints{0}, {&output});
    store->WaitAll();
    return array;
  };
  if (!key.row_sparse) return filled(key.shape);
  std::vector<int64_t> ids;
  std::uniform_int_distribution<int64_t> first(0, 6), distance(1, 40);
  for (int64_t row = first(random); row < key.shape[0]; row += distance(random)) ids.push_back(row);
  const Dims shape = {static_cast<int64_t>(ids.size()), key.shape[1]};
  return NDArray::RowSparse(key.shape, std::move(ids), filled(shape));
}

NDArray Initial(const TestKey& key) { return Contribution(key, 7, 99); }

constexpr int kBefore = 2;  // rounds before the states are saved
constexpr int kAfter = 2;

struct Trained {
  std::vector<NDArray> values;  // of the keys when the states were saved
  std::vector<Bytes> final;     // and after the other rounds
};

std::vector<NDArray> ValuesOf(KVStore& store, const std::vector<TestKey>& keys) {
  std::vector<NDArray> values;
  for (const TestKey& key : keys) values.emplace_back(key.shape, key.dtype);
  for (size_t i = 0; i < keys.size(); ++i) store.Pull(Strings{keys[i].name}, {&values[i]});
  for (const NDArray& value : values) value.WaitToRead();
  return values;
}

std::vector<Bytes> BytesOf(const std::vector<NDArray>& arrays) {
  std::vector<Bytes> all;
  for (const NDArray& array : arrays) {
    all.emplace_back(array.data_as<uint8_t>(), array.data_as<uint8_t>() + array.bytes());
  }
  return all;
}

// The keys with these values, as arrays of the keys' storage.
void InitWith(KVStore& store, const std::vector<TestKey>& keys,
              const std::vector<NDArray>& values) {
  for (size_t i = 0; i < keys.size(); ++i) {
    const TestKey& key = keys[i];
    if (!key.row_sparse) {
      store.Init(Strings{key.name}, {values[i]});
      continue;
    }
    std::vector<int64_t> all(static_cast<size_t>(key.shape[0]));
    std::iota(all.begin(), all.end(), int64_t{0});
    store.Init(Strings{key.name}, {NDArray::RowSparse(key.shape, std::move(all), values[i])});
  }
}

// What a local store makes of the workers' contributions; it saves its states twice.
Trained OnLocal(const OptimizerSpec& spec, const std::vector<TestKey>& keys, int workers,
                const Folder& folder, const std::string& name) {
  const auto store = KVStore::CreateUnique("local");
  store->SetOptimizer(spec);
  for (const TestKey& key : keys) store->Init(Strings{key.name}, {Initial(key)});
  Trained trained;
  for (int round = 0; round < kBefore + kAfter; ++round) {
    if (round == kBefore) {
      store->SaveOptimizerStates(folder.File(name + "_before"));
      trained.values = ValuesOf(*store, keys);
    }
    for (const TestKey& key : keys) {
      std::vector<NDArray> values;
      for (int rank = 0; rank < workers; ++rank) values.push_back(Contribution(key, rank, round));
      store->Push(Strings(values.size(), key.name), values);
    }
  }
  trained.final = BytesOf(ValuesOf(*store, keys));
  store->SaveOptimizerStates(folder.File(name + "_after"));
  return trained;
}

// Each store goes on from what a local one saved, with its bits, and saves the file that it saves.
void CheckGoesOn(const OptimizerSpec& spec, const std::vector<TestKey>& keys) {
  const Folder folder;
  std::map<int, Trained> local;  // by number of workers
  const auto name_of = [](int workers) { return "local" + std::to_string(workers); };
  for (const StoreKind& kind : StoresHere(StoreWithOneOrder)) {
    const auto workers = static_cast<int>(kind.workers);
    if (local.count(workers) != 0) continue;
    local[workers] = OnLocal(spec, keys, workers, folder, name_of(workers));
  }
  OnEvery(StoreWithOneOrder, [&](Worker& worker) {
    KVStore& store = worker.store();
    const Trained& expected = local.at(worker.workers());
    const std::string name = name_of(worker.workers());
    worker.SetOptimizer(spec);
    InitWith(store, keys, expected.values);
    store.Barrier();
    store.LoadOptimizerStates(folder.File(name + "_before"));
    store.Barrier();
    if (worker.rank() == 0) {
      // Loaded and saved again, it is the same file.
      store.SaveOptimizerStates(folder.File("again"));
      MUST(Contents(folder.File("again")) == Contents(folder.File(name + "_before")));
    }
    store.Barrier();
    for (int round = kBefore; round < kBefore + kAfter; ++round) {
      for (const TestKey& key : keys) {
        store.Push(Strings{key.name}, {Contribution(key, worker.rank(), round)});
      }
    }
    store.WaitAll();
    store.Barrier();
    const std::vector<Bytes> final = BytesOf(ValuesOf(store, keys));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (final[i] != expected.final[i]) FailIn(__FILE__, __LINE__, keys[i].name + ": other bits");
    }
    if (worker.rank() == 0) {
      store.SaveOptimizerStates(folder.File("mine"));
      MUST(Contents(folder.File("mine")) == Contents(folder.File(name + "_after")));
    }
    store.Barrier();
  });
}

OptimizerSpec Momentum() {
  return OptimizerSpec("sgd").Set("learning_rate", 0.25).Set("momentum", 0.5);
}

// The same step for all.
void PushAll(Worker& worker, const Ints& keys, float value) {
  worker.store().Push(keys, std::vector<NDArray>(keys.size(), Filled(5, value)));
  worker.store().WaitAll();
  worker.Settle();
  worker.store().Barrier();
}

}  // namespace

TEST_CASE("states of dense keys go on elsewhere with the same bits", "[states]") {
  CheckGoesOn(OptimizerSpec("lamb").Set("learning_rate", 0.01), kDenseKeys);
  if (kOnlyRaces) return;
  CheckGoesOn(OptimizerSpec("sgd").Set("momentum", 0.9), kDenseKeys);
  CheckGoesOn(OptimizerSpec("adam").Set("multi_precision", 1), kDenseKeys);
  // No tensor, but updates that are counted.
  CheckGoesOn(OptimizerSpec("sgd").SetLrScheduler(
                  LrScheduler("factor").Set("base_lr", 0.5).Set("step", 1).Set("factor", 0.5)),
              kDenseKeys);
}

TEST_CASE("states of row_sparse keys go on elsewhere with the same bits", "[states][rows]") {
  CheckGoesOn(OptimizerSpec("lamb").Set("learning_rate", 0.01), kRowKeys);
  if (kOnlyRaces) return;
  CheckGoesOn(OptimizerSpec("adam").Set("multi_precision", 1), kRowKeys);
  CheckGoesOn(OptimizerSpec("groupadagrad"), kRowKeys);
  // Rows that a push does not have are updated, too.
  CheckGoesOn(OptimizerSpec("sgd").Set("momentum", 0.9).Set("wd", 0.1).Set("lazy_update", 0),
              kRowKeys);
}

TEST_CASE("loading takes the place of the states that there are", "[states]") {
  const Folder folder;
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(Momentum());
    store.Init(Ints{1, 2}, {Filled(5, 1), Filled(5, 1)});
    const std::string file = folder.File("states");
    if (worker.rank() == 0) store.SaveOptimizerStates(file);  // of no update
    store.Barrier();
    PushAll(worker, {1}, 1);
    const Floats value = worker.Value(1, 5);
    store.LoadOptimizerStates(file);
    MUST(worker.Value(1, 5) == value);  // values stay
    store.Barrier();
    PushAll(worker, {1}, 1);
    // As the first update, and not as one with a momentum.
    const Floats before = worker.Value(2, 5);
    PushAll(worker, {2}, 1);
    const Floats step = worker.Value(2, 5);
    MUST_EQUAL(worker.Value(1, 5)[0] - value[0], step[0] - before[0]);
    store.Barrier();
  });
}

TEST_CASE("a file that does not fit is refused, and changes nothing", "[states][errors]") {
  const Folder folder;
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    const std::string good = folder.File("good");
    if (worker.rank() == 0) {
      const auto other = KVStore::CreateUnique("local");
      other->SetOptimizer(Momentum());
      other->Init(Ints{1}, {Filled(5, 1)});
      other->Push(Ints{1}, {Filled(5, 7)});
      other->SaveOptimizerStates(good);
      const std::string bytes = Contents(good);
      Write(folder.File("short"), bytes.substr(0, bytes.size() - 1));
      Write(folder.File("long"), bytes + "x");
      Write(folder.File("text"), "no such thing");
      other->Init(Ints{2}, {Filled(5, 1)});
      other->SaveOptimizerStates(folder.File("two"));
      const auto wide = KVStore::CreateUnique("local");
      wide->SetOptimizer(Momentum());
      wide->Init(Ints{1}, {Filled(6, 1)});
      wide->SaveOptimizerStates(folder.File("wide"));
      const auto named = KVStore::CreateUnique("local");
      named->SetOptimizer(Momentum());
      named->Init(Strings{"1"}, {Filled(5, 1)});
      named->SaveOptimizerStates(folder.File("named"));
      const auto nag = KVStore::CreateUnique("local");
      nag->SetOptimizer(OptimizerSpec("nag").Set("momentum", 0.5));
      nag->Init(Ints{1}, {Filled(5, 1)});
      nag->SaveOptimizerStates(folder.File("nag"));
    }
    if (worker.rank() == 0) {
      MUST_THROW(store.LoadOptimizerStates(good), kFailedPrecondition,
                 "a store with keys expected");
    }
    store.Barrier();
    worker.SetOptimizer(Momentum());
    store.Init(Ints{1}, {Filled(5, 1)});
    PushAll(worker, {1}, 1);
    if (worker.rank() == 0) {
      MUST_THROW(store.LoadOptimizerStates(folder.File("absent")), kNotFound, "cannot read");
      MUST_THROW(store.LoadOptimizerStates(folder.File("")), kFailedPrecondition, "plain file");
      MUST_THROW(store.LoadOptimizerStates(folder.File("short")), kDataLoss, "20 bytes of tensors");
      MUST_THROW(store.LoadOptimizerStates(folder.File("long")), kDataLoss, "20 bytes of tensors");
      MUST_THROW(store.LoadOptimizerStates(folder.File("text")), kDataLoss, "text: no safetensors");
      MUST_THROW(store.LoadOptimizerStates(folder.File("two")), kFailedPrecondition, "key '2'");
      MUST_THROW(store.LoadOptimizerStates(folder.File("wide")), kInvalidArgument,
                 "f32 of shape [5] expected, got those of f32 of shape [6]");
      MUST_THROW(store.LoadOptimizerStates(folder.File("named")), kFailedPrecondition,
                 "the file has none of it");
      MUST_THROW(store.LoadOptimizerStates(folder.File("nag")), kFailedPrecondition,
                 "states of sgd: momentum of f32 expected, got those of nag: momentum of f32");
    }
    store.Barrier();
    // The momentum is that of the first update: 0.25 * 1.5 follows 0.25.
    const float before = worker.Value(1, 5)[0];
    PushAll(worker, {1}, 1);
    const float pushed = worker.kind().rounds ? worker.all() : 1;
    if (worker.kind().rounds) {
      MUST_EQUAL(before - worker.Value(1, 5)[0], 0.375F * pushed);
    } else if (worker.workers() == 1) {
      MUST_EQUAL(before - worker.Value(1, 5)[0], 0.375F);
    }
    store.Barrier();
  });
}

TEST_CASE("a file that cannot be written leaves the one that was there", "[states][errors]") {
  const Folder folder;
  const auto store = KVStore::CreateUnique("local");
  store->SetOptimizer(Momentum());
  const auto save = [&](const std::string& file) { store->SaveOptimizerStates(file); };
  try {
    save(folder.File("states"));
    FAIL("an error expected");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kFailedPrecondition);
  }
  store->Init(Ints{1}, {Filled(5, 1)});
  save(folder.File("states"));
  const std::string before = Contents(folder.File("states"));
  store->Push(Ints{1}, {Filled(5, 1)});
  save(folder.File("states"));
  CHECK(Contents(folder.File("states")) != before);
  CHECK(folder.files() == 1);
  try {
    save(folder.File("no/such/folder"));
    FAIL("an error expected");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kNotFound);
  }
  try {
    save(folder.File(""));
    FAIL("an error expected");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kFailedPrecondition);
  }
  CHECK(folder.files() == 1);
}

TEST_CASE("states of an updater of the user are refused", "[states][errors]") {
  const Folder folder;
  OnEvery(StoreThatRunsUpdaters, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Filled(5, 1)});
    store.set_updater([](int, const NDArray&, NDArray*) {});
    MUST_THROW(store.SaveOptimizerStates(folder.File("states")), kFailedPrecondition,
               "set_updater has replaced it");
    MUST_THROW(store.LoadOptimizerStates(folder.File("states")), kNotFound, "cannot read");
  });
  CHECK(folder.files() == 0);
}

TEST_CASE("the optimizer's own numbers are in the file if that is asked for", "[states]") {
  const Folder folder;
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Filled(5, 1)});
    if (worker.rank() == 0) {
      MUST_THROW(store.SaveOptimizerStates(folder.File("states"), true), kFailedPrecondition,
                 "dump_optimizer");
    }
    store.Barrier();
    worker.SetOptimizer(Momentum().SetLrMult(1, 0.5));
    if (worker.rank() == 0) {
      store.SaveOptimizerStates(folder.File("plain"));
      store.SaveOptimizerStates(folder.File("dumped"), true);
      MUST(Contents(folder.File("plain")).find("optimizer_spec") == std::string::npos);
      const std::string dumped = Contents(folder.File("dumped"));
      MUST(dumped.find("optimizer_spec") != std::string::npos);
      MUST(dumped.find(R"(\"learning_rate\":0.25,\"momentum\":0.5)") != std::string::npos);
      MUST(dumped.find(R"(\"1\":{\"lr_mult\":0.5,\"wd_mult\":1.0})") != std::string::npos);
    }
    store.Barrier();
    store.LoadOptimizerStates(folder.File("dumped"));
    store.Barrier();
  });
}

}  // namespace kvstore
