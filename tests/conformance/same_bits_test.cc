// Every store gives the bits of a local store that is given its workers' contributions as a list (a
// store without rounds: its one worker's, in their order), for every optimizer, dtype and storage.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <tuple>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "common/base/mutex.h"
#include "common/codec/codec.h"
#include "common/updater/updater.h"
#include "tests/conformance/store_under_test.h"
#include "tests/support/dtype_arrays.h"

namespace kvstore {
namespace {

using testing::Bytes;
using testing::DTypeOracle;

Bytes BytesOf(const NDArray& array) {
  array.WaitToRead();
  return Bytes(array.data_as<uint8_t>(), array.data_as<uint8_t>() + array.bytes());
}

NDArray RandomDense(std::mt19937_64& random, const Dims& shape, DataType dtype) {
  const NDArray array(shape, dtype);
  const Bytes bytes = DTypeOracle(ToDType(dtype)).Random(random, static_cast<size_t>(array.size()));
  std::copy(bytes.begin(), bytes.end(), array.data_as<uint8_t>());
  return array;
}

// Up to `most` rows.
NDArray RandomRows(std::mt19937_64& random, const Dims& shape, DataType dtype, uint64_t most) {
  std::map<int64_t, bool> rows;
  for (uint64_t n = random() % (most + 1); n > 0; --n) {
    rows[static_cast<int64_t>(random() % static_cast<uint64_t>(shape[0]))] = true;
  }
  std::vector<int64_t> ids;
  for (const auto& [row, is_there] : rows) ids.push_back(row);
  if (ids.empty()) return NDArray::RowSparse(shape, dtype);
  const NDArray data = RandomDense(random, {static_cast<int64_t>(ids.size()), shape[1]}, dtype);
  return NDArray::RowSparse(shape, std::move(ids), data);
}

// A key, and what every worker pushes to it.
class TestKey {
 public:
  TestKey(std::string key_name, DataType key_dtype, Dims key_shape, bool key_row_sparse = false)
      : name(std::move(key_name)),
        dtype(key_dtype),
        shape(std::move(key_shape)),
        row_sparse(key_row_sparse) {}

  const std::string name;
  const DataType dtype;
  const Dims shape;
  const bool row_sparse;

  NDArray Initial() const {
    std::mt19937_64 random(static_cast<uint64_t>(shape[0]));
    return row_sparse ? RandomRows(random, shape, dtype, 300) : RandomDense(random, shape, dtype);
  }
  // Of a row_sparse key: rows, none, or all. Made once, since it is long.
  NDArray Contribution(int rank, int round) const {
    static Mutex mutex;
    static std::map<std::tuple<std::string, int, int>, NDArray> made;
    MutexLock lock(mutex);
    NDArray& array = made[{name, rank, round}];
    if (array.empty()) array = MakeContribution(rank, round);
    return array;
  }

 private:
  NDArray MakeContribution(int rank, int round) const {
    std::mt19937_64 random(static_cast<uint64_t>(shape[0] * 1000 + rank * 100 + round));
    if (!row_sparse) return RandomDense(random, shape, dtype);
    if (random() % 5 != 0) return RandomRows(random, shape, dtype, 200);
    return random() % 2 == 0 ? NDArray::RowSparse(shape, dtype) : RandomDense(random, shape, dtype);
  }
};

// Dense keys of one part and of several; row_sparse ones of one stripe and of 61.
const std::vector<TestKey> kDenseKeys = {
    {"conv/weight", DataType::kFloat32, {(1 << 18) + 1001}},
    {"conv/bias", DataType::kFloat32, {7}},
    {"scale", DataType::kFloat64, {67}},
    {"half", DataType::kFloat16, {67}},
    {"brain", DataType::kBFloat16, {131}},
};
const std::vector<TestKey> kRowKeys = {
    {"low", DataType::kFloat32, {1501, 7}, true},
    {"high", DataType::kFloat32, {1502, 180}, true},
    {"doubles", DataType::kFloat64, {1503, 7}, true},
    {"halves", DataType::kFloat16, {1504, 400}, true},
    {"brains", DataType::kBFloat16, {1505, 7}, true},
};

constexpr int kRounds = 3;

// Pushes all rounds; the bytes of all keys after each.
template <typename PushRound>
std::vector<Bytes> Train(KVStore& store, const std::vector<TestKey>& keys, PushRound push) {
  std::vector<Bytes> values;
  std::vector<NDArray> outputs;
  for (const TestKey& key : keys) outputs.emplace_back(key.shape, key.dtype);
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < keys.size(); ++i) {
      push(keys[i], round);
      store.Pull(Strings{keys[i].name}, {&outputs[i]}, static_cast<int>(i));
    }
    for (const NDArray& output : outputs) values.push_back(BytesOf(output));
  }
  return values;
}

// What SetGradientCompression is given; nothing: it is not called.
using Compression = std::vector<std::pair<std::string, std::string>>;

// What a local store makes of the contributions of the workers of a store of that kind.
std::vector<Bytes> Expected(const OptimizerSpec& spec, const std::vector<TestKey>& keys,
                            const StoreKind& kind, const Compression& compression) {
  const auto local = KVStore::CreateUnique("local");
  if (!compression.empty()) local->SetGradientCompression(compression);
  local->SetOptimizer(spec);
  for (const TestKey& key : keys) local->Init(Strings{key.name}, {key.Initial()});
  return Train(*local, keys, [&](const TestKey& key, int round) {
    std::vector<NDArray> values;
    for (uint32_t rank = 0; rank < kind.workers; ++rank)
      values.push_back(key.Contribution(static_cast<int>(rank), round));
    // An asynchronous push without rows is nothing; local's is an update, which some optimizers
    // count.
    if (kind.skips_empty_pushes && values[0].bytes() == 0) return;
    local->Push(Strings(values.size(), key.name), values);
  });
}

// The stores on which a call of CheckSameBits tries: all, but under ThreadSanitizer, where all
// would take a quarter of an hour, a third of them in turn. There it is the threads that are looked
// at, and every optimizer and codec still runs on several stores, every store with many of them.
size_t turn = 0;
bool StoreInTurn(const StoreKind& kind) {
#ifdef __SANITIZE_THREAD__
  constexpr size_t kTurns = 3;
#else
  constexpr size_t kTurns = 1;
#endif
  size_t number = 0;  // of the store
  while (AllStores()[number].Name() != kind.Name()) ++number;
  return StoreWithOneOrder(kind) && number % kTurns == turn % kTurns;
}

void CheckSameBits(const OptimizerSpec& spec, const std::vector<TestKey>& keys,
                   const Compression& compression = {}) {
  ++turn;
  // By number of workers, and whether pushes without rows count.
  std::map<std::pair<int, bool>, std::vector<Bytes>> all_expected;
  for (const StoreKind& kind : StoresHere(StoreInTurn)) {
    std::vector<Bytes>& expected =
        all_expected[{static_cast<int>(kind.workers), kind.skips_empty_pushes}];
    if (!expected.empty()) continue;
    expected = Expected(spec, keys, kind, compression);
    // A round does something.
    CHECK(expected.front() != expected.back());
  }
  OnEvery(StoreInTurn, [&](Worker& worker) {
    if (!compression.empty()) worker.store().SetGradientCompression(compression);
    worker.SetOptimizer(spec);
    for (const TestKey& key : keys) worker.store().Init(Strings{key.name}, {key.Initial()});
    const std::vector<Bytes> values =
        Train(worker.store(), keys, [&](const TestKey& key, int round) {
          worker.store().Push(Strings{key.name}, {Placed(key.Contribution(worker.rank(), round))});
        });
    const std::vector<Bytes>& expected =
        all_expected.at({worker.workers(), worker.kind().skips_empty_pushes});
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] == expected[i]) continue;
      FailIn(__FILE__, __LINE__,
             keys[i % keys.size()].name + ": other bits after round " +
                 std::to_string(i / keys.size()));
    }
  });
}

// Every optimizer, with and without an f32 master of 16-bit values, then with a schedule too, and
// factors of some keys.
// `rows`: those for rows alone too.
std::vector<OptimizerSpec> AllRules(bool rows) {
  std::vector<OptimizerSpec> optimizers;
  for (const std::string& name : UpdaterNames()) {
    if (name == "groupadagrad" && !rows) continue;
    const bool learns = name != "assign" && name != "sum" && name != "test";
    for (const double multi_precision : {0.0, 1.0}) {
      if (!learns && multi_precision != 0) continue;
      OptimizerSpec spec(name);
      if (learns) {
        spec.Set("learning_rate", 0.3).Set("wd", 0.01).Set("multi_precision", multi_precision);
        spec.SetLrMult("conv/bias", 2).SetWdMult("conv/bias", 0).SetLrMult("never/seen", 0.5);
        spec.SetLrMult("high", 2).SetWdMult("low", 3);
      }
      if (multi_precision != 0) {
        spec.Set("begin_num_update", 1)
            .SetLrScheduler(LrScheduler("cosine").Set("max_update", 5).Set("warmup_steps", 1));
      }
      if (name == "sgd") spec.Set("momentum", 0.9);
      if (name == "groupadagrad") spec.Set("wd", 0);
      optimizers.push_back(spec);
    }
  }
  return optimizers;
}

// Those that the optimizer treats otherwise than without multi_precision, if it has that.
std::vector<TestKey> KeysFor(const OptimizerSpec& spec, const std::vector<TestKey>& keys) {
  const auto found = spec.parameters.find("multi_precision");
  const bool masters = found != spec.parameters.end() && found->second != 0;
  std::vector<TestKey> chosen;
  for (const TestKey& key : keys) {
    if (!masters || DataTypeBytes(key.dtype) == 2) chosen.push_back(key);
  }
  return chosen;
}

}  // namespace

TEST_CASE("every optimizer gives the bits of local on dense keys", "[bits]") {
  for (const OptimizerSpec& spec : AllRules(false)) {
    CAPTURE(spec.name, spec.parameters);
    CheckSameBits(spec, KeysFor(spec, kDenseKeys));
  }
}

TEST_CASE("every optimizer gives the bits of local on row_sparse keys", "[bits][rows]") {
  for (const OptimizerSpec& spec : AllRules(true)) {
    CAPTURE(spec.name, spec.parameters);
    CheckSameBits(spec, KeysFor(spec, kRowKeys));
  }
  for (const char* name : {"sgd", "adam", "lars"}) {
    CAPTURE(name);
    CheckSameBits(OptimizerSpec(name).Set("wd", 0.01).Set("lazy_update", 0), kRowKeys);
  }
}

TEST_CASE("every codec gives the bits of local", "[bits][codec]") {
  const auto sgd = OptimizerSpec("sgd").Set("learning_rate", 0.1);
  for (const std::string& type : CodecTypes()) {
    CAPTURE(type);
    CheckSameBits(sgd, kDenseKeys, {{"type", type}});
    CheckSameBits(sgd, kRowKeys, {{"type", type}});
  }
  CheckSameBits(OptimizerSpec("adam"), kDenseKeys, {{"type", "fp16"}, {"pull", "1"}});
  // Its parts are submitted a few at a time, and norms are of all.
  CheckSameBits(OptimizerSpec("lamb"), {{"layer/weight", DataType::kFloat32, {6 * (1 << 18) + 5}}},
                {{"type", "fp16"}});
  CheckSameBits(OptimizerSpec("adam"), kRowKeys, {{"type", "bf16"}, {"pull", "1"}});
}

TEST_CASE("values of several devices give the bits of local", "[bits]") {
  // Each worker's devices are summed first, then the workers in rank order.
  constexpr int kRoundsOfDevices = 2, kDevices = 3, kWorkersMax = 3;
  constexpr int64_t kElements = (1 << 18) + 17;  // two parts
  struct Made {
    std::vector<NDArray> devices;
    NDArray sum{{kElements}};
  };
  std::map<std::pair<int, int>, Made> made;  // by rank and round
  std::mt19937_64 random(20261128);
  for (int rank = 0; rank < kWorkersMax; ++rank) {
    for (int round = 0; round < kRoundsOfDevices; ++round) {
      Made& values = made[{rank, round}];
      for (int device = 0; device < kDevices; ++device) {
        values.devices.push_back(RandomDense(random, {kElements}, DataType::kFloat32));
      }
      for (int64_t i = 0; i < kElements; ++i) {
        float sum = values.devices[0].data_as<float>()[i];
        for (size_t d = 1; d < kDevices; ++d) sum += values.devices[d].data_as<float>()[i];
        values.sum.data_as<float>()[i] = sum;
      }
    }
  }
  const auto sgd = OptimizerSpec("sgd").Set("learning_rate", 0.1).Set("momentum", 0.9);
  OnEvery(StoreWithOneOrder, [&](Worker& worker) {
    const auto local = KVStore::CreateUnique("local");
    local->SetOptimizer(sgd);
    local->Init(Ints{1}, {Filled(kElements, 1)});
    worker.SetOptimizer(sgd);
    worker.store().Init(Ints{1}, {Filled(kElements, 1)});
    for (int round = 0; round < kRoundsOfDevices; ++round) {
      std::vector<NDArray> sums;
      for (int rank = 0; rank < worker.workers(); ++rank) {
        sums.push_back(made.at({rank, round}).sum);
      }
      std::vector<NDArray> devices;
      for (const NDArray& array : made.at({worker.rank(), round}).devices) {
        devices.push_back(Placed(array));
      }
      worker.store().Push(Ints(kDevices, 1), devices, -round);
      local->Push(Ints(sums.size(), 1), sums);
      MUST(worker.Value(1, kElements) == PullFrom(*local, 1, kElements));
    }
  });
}

TEST_CASE("either storage may be pushed to either, with the bits of local", "[bits][rows]") {
  // Of one part or stripe, and of several.
  const Dims shape = {GENERATE(int64_t{100}, 10000), 64};
  // With decay and momentum all rows move in an update, whether their sum is zero or not.
  const OptimizerSpec optimizer =
      OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("wd", 0.25).Set("momentum", 0.5);
  constexpr int kSparse = 1, kDense = 2;
  const auto row = [](float value) { return Floats(64, value); };
  OnEvery(StoreWithOneOrder, [&](Worker& worker) {
    const auto local = KVStore::CreateUnique("local");
    std::mt19937_64 random(20261125);
    const NDArray initial = RandomRows(random, shape, DataType::kFloat32, 90);
    for (KVStore* store : {local.get(), &worker.store()}) {
      store->Init(Ints{kSparse, kDense}, {initial, NDArray(shape)});
      store->SetOptimizer(optimizer);
      store->Barrier();
      // All workers push the same small numbers, whose sums are exact in any order: local is given
      // the list once for every worker.
      const auto push = [&](const Ints& keys, const std::vector<NDArray>& values) {
        if (store != local.get()) return store->Push(keys, values);
        for (const int key : {kSparse, kDense}) {
          std::vector<NDArray> of_key;
          for (size_t i = 0; i < keys.size(); ++i) {
            if (keys[i] == key) of_key.push_back(values[i]);
          }
          std::vector<NDArray> of_all;
          for (int rank = 0; rank < worker.workers(); ++rank) {
            of_all.insert(of_all.end(), of_key.begin(), of_key.end());
          }
          if (!of_all.empty()) store->Push(Ints(of_all.size(), key), of_all);
        }
      };
      for (int n = 0; n < 3; ++n) {
        const NDArray rows = RowArray(shape, {{n, row(1)}, {50, row(-2)}});
        const NDArray dense = Filled(shape, static_cast<float>(n) - 1.25f);
        push(Ints{kSparse, kDense}, {dense, rows});
        push(Ints{kSparse, kDense}, {rows, dense});
        push(Ints{kSparse, kDense, kSparse, kDense}, {dense, rows, rows, dense});
      }
    }
    for (const int key : {kSparse, kDense}) {
      const RowMap expected = PullNonZeroRows(*local, key, shape);
      MUST_EQUAL(expected.size(), static_cast<size_t>(shape[0]));
      MUST(worker.Rows(key, shape) == expected);
    }
  });
}

}  // namespace kvstore
