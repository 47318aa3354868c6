// Every optimizer on a cluster gives the bits of a local store that is given the workers'
// contributions (of an asynchronous one: its one worker's, in their order): state per part,
// multipliers per key, values of 16 bits with and without an f32 master.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <tuple>

#include "client/array/ndarray_impl.h"
#include "common/updater/updater.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/standard_error.h"

namespace kvstore {
namespace {

using testing::Bytes;
using testing::DTypeOracle;
using testing::ToArray;

using Ints = std::vector<int>;
using Strings = std::vector<std::string>;

constexpr int kWorkersMax = 2;
constexpr int kRounds = 3;

struct TestKey {
  std::string name;
  DataType dtype;
  size_t elements;
};

const std::vector<TestKey> kKeys = {
    {"conv/weight", DataType::kFloat32, (1 << 18) + 1001},  // two parts
    {"conv/bias", DataType::kFloat32, 7},
    {"scale", DataType::kFloat64, 67},
    {"half", DataType::kFloat16, 67},
    {"brain", DataType::kBFloat16, (1 << 19) + 67},  // two parts
};

// What worker `rank` contributes to key number `key` in `round`; rank kWorkersMax: its first value.
const Bytes& Contribution(int rank, int round, size_t key) {
  static const auto all = [] {
    std::map<std::tuple<int, int, size_t>, Bytes> made;
    std::mt19937_64 random(20261124);
    for (int who = 0; who <= kWorkersMax; ++who) {
      for (int when = 0; when < (who < kWorkersMax ? kRounds : 1); ++when) {
        for (size_t what = 0; what < kKeys.size(); ++what) {
          const DTypeOracle oracle(ToDType(kKeys[what].dtype));
          made[{who, when, what}] = oracle.Random(random, kKeys[what].elements);
        }
      }
    }
    return made;
  }();
  return all.at({rank, round, key});
}

std::map<std::string, Bytes> Values(KVStore& store) {
  std::map<std::string, Bytes> values;
  for (const TestKey& key : kKeys) {
    NDArray out({static_cast<int64_t>(key.elements)}, key.dtype);
    store.Pull(Strings{key.name}, {&out});
    out.WaitToRead();
    values[key.name].assign(out.data_as<uint8_t>(), out.data_as<uint8_t>() + out.bytes());
  }
  return values;
}

// The keys' values after all rounds; `pushed(round, key)` are the arrays to push.
template <typename PushedArrays>
std::map<std::string, Bytes> Train(KVStore& store, PushedArrays pushed) {
  for (int round = 0; round < kRounds; ++round) {
    for (size_t key = 0; key < kKeys.size(); ++key) {
      const std::vector<NDArray> arrays = pushed(round, key);
      store.Push(Strings(arrays.size(), kKeys[key].name), arrays);
    }
  }
  return Values(store);
}

void InitAll(KVStore& store) {
  for (size_t key = 0; key < kKeys.size(); ++key) {
    store.Init(Strings{kKeys[key].name},
               {ToArray(Contribution(kWorkersMax, 0, key), kKeys[key].dtype)});
  }
}

}  // namespace

TEST_CASE("every optimizer gives on a dist store the bits of local", "[dist][optimizer]") {
  struct Kind {
    std::string type;
    int workers;
  };
  const auto kind = GENERATE(Kind{"dist_sync", 2}, Kind{"dist_async", 1});
  CAPTURE(kind.type);
  for (const std::string& name : UpdaterNames()) {
    const bool learns = name != "assign" && name != "sum" && name != "test";
    for (const double multi_precision : {0.0, 1.0}) {
      if (!learns && multi_precision != 0) continue;
      CAPTURE(name, multi_precision);
      OptimizerSpec spec(name);
      if (learns) {
        spec.Set("learning_rate", 0.3).Set("wd", 0.01).Set("multi_precision", multi_precision);
        spec.SetLrMult("conv/bias", 2).SetWdMult("conv/bias", 0).SetLrMult("never/seen", 0.5);
      }
      if (name == "sgd") spec.Set("momentum", 0.9);

      const auto workers = static_cast<uint32_t>(kind.workers);
      DistCluster cluster({workers, 2});
      std::vector<std::map<std::string, Bytes>> values(workers);
      CHECK(cluster.Run(
                [&](KVStore& store, int rank) {
                  if (rank == 0) store.SetOptimizer(spec);
                  store.Barrier();
                  InitAll(store);
                  values[static_cast<size_t>(rank)] = Train(store, [&](int round, size_t key) {
                    return std::vector<NDArray>{
                        ToArray(Contribution(rank, round, key), kKeys[key].dtype)};
                  });
                },
                kind.type) == NothingThrown(workers));

      const auto local = KVStore::CreateUnique();
      local->SetOptimizer(spec);
      InitAll(*local);
      const std::map<std::string, Bytes> expected = Train(*local, [&](int round, size_t key) {
        std::vector<NDArray> arrays;
        for (int rank = 0; rank < kind.workers; ++rank) {
          arrays.push_back(ToArray(Contribution(rank, round, key), kKeys[key].dtype));
        }
        return arrays;
      });
      for (const TestKey& key : kKeys) {
        CAPTURE(key.name);
        for (const auto& worker : values) CHECK((worker.at(key.name) == expected.at(key.name)));
        // A round did something.
        if (name != "assign") {
          const size_t number = static_cast<size_t>(&key - kKeys.data());
          CHECK((expected.at(key.name) != Contribution(kWorkersMax, 0, number)));
        }
      }
    }
  }
}

TEST_CASE("an optimizer that one server has no memory for is set on none", "[dist][optimizer]") {
  const auto type = GENERATE(as<std::string>(), "dist_sync", "dist_async");
  CAPTURE(type);
  // Of 7 parts of 1 MiB one server has 4, the other 3. A part takes 2 MiB with assign or sum, 3
  // with a momentum, 4 with adam: 16 MiB on the one, 12 on the other.
  constexpr int64_t kElements = (1 << 18) * 7;
  DistClusterOptions options;
  options.servers = 2;
  options.core.value_bytes_max = 15u << 20;
  DistCluster cluster(options);
  CHECK(cluster.Run(
            [&](KVStore& store, int) {
              const NDArray one({kElements});
              std::fill_n(one.data_as<float>(), kElements, 1.0f);
              const auto push_makes = [&](float expected) {
                NDArray out({kElements});
                store.PushPull(Ints{1}, Ints{1}, {one}, {&out});
                out.WaitToRead();
                const auto* value = out.data_as<float>();
                if (std::count(value, value + kElements, expected) != kElements) {
                  throw std::runtime_error("every element expected to be " +
                                           std::to_string(expected));
                }
              };
              store.Init(Ints{1}, {NDArray({kElements})});
              store.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1).Set("momentum", 0.5));
              push_makes(-1);
              std::string refusal;
              try {
                store.SetOptimizer(OptimizerSpec("adam"));
              } catch (const Error& error) {
                if (error.code() == ErrorCode::kResourceExhausted) refusal = error.what();
              }
              const std::string needs =
                  "optimizer 'adam': 16777216 bytes needed for values and states, at most 15728640 "
                  "expected";
              if (CountOf(needs, refusal) != 1 || CountOf("optimizer 'adam'", refusal) != 1) {
                throw std::runtime_error("one server's refusal expected, got: " + refusal);
              }
              push_makes(-2.5f);  // with the momentum of before
              store.SetOptimizer(OptimizerSpec("sum"));
              push_makes(-1.5f);
            },
            type) == NothingThrown(1));
}

}  // namespace kvstore
