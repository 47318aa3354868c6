// Values of every dtype on the stores of a cluster: the bits of the oracle, and of a local store
// that is given the workers' contributions.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "client/array/ndarray_impl.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/dtype_arrays.h"

namespace kvstore {
namespace {

using testing::Bytes;
using testing::DTypeOracle;
using testing::kEveryDType;
using testing::PulledFrom;
using testing::ToArray;

using Ints = std::vector<int>;

constexpr float kScale = 0.3f;

// The arrays that worker `rank` pushes in `round`, one per device.
std::vector<Bytes> Pushed(const DTypeOracle& oracle, int rank, int round, int devices,
                          size_t elements) {
  std::mt19937_64 random(static_cast<uint64_t>(rank * 100 + round));
  std::vector<Bytes> arrays;
  for (int device = 0; device < devices; ++device) {
    arrays.push_back(oracle.Random(random, elements));
  }
  return arrays;
}

struct PlannedRound {
  std::vector<std::vector<Bytes>> pushed;  // by rank and device
  std::vector<Bytes> contributions;        // by rank
  Bytes value;                             // after it
};

// Rounds of a key, with the values that they must give.
struct Plan {
  Plan(DataType key_dtype, uint32_t workers, int devices, size_t elements) : dtype(key_dtype) {
    const DTypeOracle oracle(ToDType(dtype));
    initial = Pushed(oracle, 99, 0, 1, elements)[0];
    Bytes value = initial;
    for (int round = 0; round < (oracle.IsFloat() ? 5 : 3); ++round) {
      PlannedRound& made = rounds.emplace_back();
      for (int rank = 0; rank < static_cast<int>(workers); ++rank) {
        made.pushed.push_back(Pushed(oracle, rank, round, devices, elements));
        made.contributions.push_back(oracle.Contribution(made.pushed.back()));
      }
      if (round == 0) value = oracle.Assign(made.contributions);
      if (round == 1 || round == 2) value = oracle.Sum(value, made.contributions);
      if (round >= 3) value = oracle.Test(value, made.contributions, kScale);
      made.value = value;
    }
  }

  // `push(round)` contributes, `set(spec)` replaces the rule.
  void Run(KVStore& store, const std::function<void(const PlannedRound& round)>& push,
           const std::function<void(const OptimizerSpec& spec)>& set) const {
    store.Init(Ints{1}, {ToArray(initial, dtype)});
    Expect(store, initial, 0);
    for (size_t n = 0; n < rounds.size(); ++n) {
      if (n == 1) set(OptimizerSpec("sum"));
      if (n == 3) set(OptimizerSpec("test").Set("rescale_grad", double{kScale}));
      push(rounds[n]);
      Expect(store, rounds[n].value, n + 1);
    }
  }
  void Push(KVStore& store, const std::vector<Bytes>& arrays) const {
    std::vector<NDArray> values;
    for (const Bytes& array : arrays) values.push_back(ToArray(array, dtype));
    store.Push(Ints(values.size(), 1), values);
  }
  void Expect(KVStore& store, const Bytes& value, size_t round) const {
    if (PulledFrom(store, 1, value.size() / DataTypeBytes(dtype), dtype) == value) return;
    throw std::runtime_error("other bits expected after round " + std::to_string(round));
  }

  DataType dtype;
  Bytes initial;
  std::vector<PlannedRound> rounds;
};

}  // namespace

TEST_CASE("rounds of every dtype give the oracle's bits, as local does", "[dist][dtypes]") {
  struct Size {
    uint32_t workers, servers;
    int devices;
    size_t bytes;
  };
  const Size shape =
      GENERATE(Size{3, 2, 1, 67 * 8}, Size{2, 1, 3, 67 * 8}, Size{2, 3, 2, (1 << 20) + 4008});
  CAPTURE(shape.workers, shape.servers, shape.devices, shape.bytes);
  for (const DataType dtype : kEveryDType) {
    CAPTURE(DataTypeName(dtype));
    // Several parts: one dtype of each way to be summed.
    if (shape.bytes > 1 << 20 && dtype != DataType::kFloat64 && dtype != DataType::kFloat16 &&
        dtype != DataType::kInt32) {
      continue;
    }
    const Plan plan(dtype, shape.workers, shape.devices, shape.bytes / DataTypeBytes(dtype));
    DistCluster cluster({shape.workers, shape.servers});
    const auto thrown = cluster.Run([&](KVStore& store, int rank) {
      plan.Run(
          store,
          [&](const PlannedRound& round) {
            plan.Push(store, round.pushed[static_cast<size_t>(rank)]);
          },
          [&](const OptimizerSpec& spec) {
            store.Barrier();
            if (rank == 0) store.SetOptimizer(spec);
            store.Barrier();
          });
    });
    CHECK(thrown == std::vector<std::string>(shape.workers));

    const auto local = KVStore::CreateUnique();
    plan.Run(
        *local, [&](const PlannedRound& round) { plan.Push(*local, round.contributions); },
        [&](const OptimizerSpec& spec) { local->SetOptimizer(spec); });
  }
}

TEST_CASE("asynchronous pushes of every dtype are updates of it", "[dist][async][dtypes]") {
  constexpr size_t kElements = 67;
  DistCluster cluster({1, 2});
  CHECK(cluster.Run(
            [&](KVStore& store, int) {
              int key = 0;
              for (const DataType dtype : kEveryDType) {
                const DTypeOracle oracle(ToDType(dtype));
                Bytes value = Pushed(oracle, 99, 0, 1, kElements)[0];
                store.Init(Ints{++key}, {ToArray(value, dtype)});
                store.SetOptimizer(OptimizerSpec("sum"));
                for (const int round : {1, 2, 3}) {
                  const Bytes pushed = Pushed(oracle, 0, round, 1, kElements)[0];
                  store.Push(Ints{key}, {ToArray(pushed, dtype)});
                  value = oracle.Sum(value, {pushed});
                }
                if (PulledFrom(store, key, kElements, dtype) != value) {
                  throw std::runtime_error(DataTypeName(dtype));
                }
              }
            },
            "dist_async") == std::vector<std::string>(1));
}

TEST_CASE("rounds of rows of every dtype give the oracle's bits", "[dist][rows][dtypes]") {
  struct Kind {
    std::string type;
    uint32_t workers;
  };
  const auto kind = GENERATE(Kind{"dist_sync", 3}, Kind{"dist_async", 1});
  // Of one stripe and of 61.
  const int64_t height = GENERATE(50, 1 << 20);
  constexpr int64_t kWidth = 33;
  CAPTURE(kind.type, height);
  const int workers = static_cast<int>(kind.workers);
  DistCluster cluster({kind.workers, 2});
  const auto run = [&](KVStore& store, int rank) {
    for (const DataType dtype : kEveryDType) {
      const DTypeOracle oracle(ToDType(dtype));
      const std::vector<int64_t> shape = {height, kWidth};
      const Ints key = {static_cast<int>(dtype)};
      store.Init(key, {NDArray::RowSparse(shape, dtype)});
      // Row 7 is in every contribution, row 10 + r in that of rank r only.
      const Bytes zeros(kWidth * DataTypeBytes(dtype));
      std::map<int64_t, Bytes> value = {{7, zeros}};
      for (int r = 0; r < workers; ++r) value[10 + r] = zeros;
      for (int round = 0; round < (oracle.IsFloat() ? 5 : 3); ++round) {
        const std::string rule = round == 0 ? "assign" : round < 3 ? "sum" : "test";
        OptimizerSpec spec(rule);
        if (rule == "test") spec.Set("rescale_grad", double{kScale});
        store.Barrier();
        if (rank == 0) store.SetOptimizer(spec);
        store.Barrier();
        std::map<int64_t, std::vector<Bytes>> sums;  // by row, what is to be summed
        for (int r = 0; r < workers; ++r) {
          const std::vector<Bytes> rows = Pushed(oracle, r, round, 2, kWidth);
          sums[7].push_back(rows[0]);
          sums[10 + r].push_back(rows[1]);
          if (r != rank) continue;
          Bytes both = rows[0];
          both.insert(both.end(), rows[1].begin(), rows[1].end());
          NDArray data({2, kWidth}, dtype);
          std::copy(both.begin(), both.end(), data.data_as<uint8_t>());
          store.Push(key, {NDArray::RowSparse(shape, {7, 10 + r}, data)});
        }
        Bytes expected;
        for (auto& [row, bytes] : value) {
          if (rule == "assign") bytes = oracle.Assign(sums[row]);
          if (rule == "sum") bytes = oracle.Sum(bytes, sums[row]);
          if (rule == "test") bytes = oracle.Test(bytes, sums[row], kScale);
          expected.insert(expected.end(), bytes.begin(), bytes.end());
        }
        expected.insert(expected.end(), zeros.begin(), zeros.end());  // row 40
        NDArray out = NDArray::RowSparse(shape, dtype);
        NDArray ids({workers + 2}, DataType::kInt64);
        auto* id = ids.data_as<int64_t>();
        for (const auto& [row, bytes] : value) *id++ = row;
        *id = 40;
        store.PullRowSparse(key, {{&out, ids}});
        out.WaitToRead();
        if (!std::equal(expected.begin(), expected.end(), out.data_as<uint8_t>(),
                        out.data_as<uint8_t>() + out.bytes())) {
          throw std::runtime_error(std::string(DataTypeName(dtype)) + " after " + rule);
        }
      }
    }
  };
  CHECK(cluster.Run(run, kind.type) == NothingThrown(kind.workers));
}

}  // namespace kvstore
