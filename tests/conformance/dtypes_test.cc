// Values of every dtype: the bits of an oracle that takes elements apart by the definitions of the
// formats (tests/support/dtype_oracle.h).
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "tests/conformance/store_under_test.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/only_races.h"

namespace kvstore {
namespace {

using testing::Bytes;
using testing::DTypeOracle;
using testing::kEveryDType;
using testing::kOnlyRaces;
using testing::PulledFrom;
using testing::ToArray;

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

// The optimizer of each round: without an optimizer (rounds only), then sums, then a factor (floats
// only).
enum class Optimizer { kAssign, kSum, kTest };
std::vector<Optimizer> OptimizersFor(const StoreKind& kind, const DTypeOracle& oracle) {
  std::vector<Optimizer> optimizers;
  if (kind.rounds) optimizers.push_back(Optimizer::kAssign);
  optimizers.push_back(Optimizer::kSum);
  if (oracle.IsFloat()) optimizers.push_back(Optimizer::kTest);
  optimizers.push_back(Optimizer::kSum);
  return optimizers;
}
OptimizerSpec SpecOf(Optimizer optimizer) {
  if (optimizer == Optimizer::kSum) return OptimizerSpec("sum");
  if (optimizer == Optimizer::kTest)
    return OptimizerSpec("test").Set("rescale_grad", double{kScale});
  return OptimizerSpec("assign");
}
// The value after a push of `contributions`, one after the other where there are no rounds.
Bytes After(Optimizer optimizer, const DTypeOracle& oracle, const Bytes& value,
            const std::vector<Bytes>& contributions) {
  if (optimizer == Optimizer::kSum) return oracle.Sum(value, contributions);
  if (optimizer == Optimizer::kTest) return oracle.Test(value, contributions, kScale);
  return oracle.Assign(contributions);
}

// What `workers` push of one dtype, and the values that it must make; made once for all stores.
struct Plan {
  Plan(DataType key_dtype, const StoreKind& kind, int devices, size_t elements)
      : dtype(key_dtype), oracle(ToDType(dtype)), optimizers(OptimizersFor(kind, oracle)) {
    initial = Pushed(oracle, 99, 0, 1, elements)[0];
    Bytes value = initial;
    for (size_t round = 0; round < optimizers.size(); ++round) {
      std::vector<Bytes> contributions;
      pushed.emplace_back();
      for (int rank = 0; rank < static_cast<int>(kind.workers); ++rank) {
        pushed[round].push_back(Pushed(oracle, rank, static_cast<int>(round), devices, elements));
        contributions.push_back(oracle.Contribution(pushed[round].back()));
      }
      value = After(optimizers[round], oracle, value, contributions);
      expected.push_back(value);
    }
  }

  const DataType dtype;
  const DTypeOracle oracle;
  const std::vector<Optimizer> optimizers;
  Bytes initial;
  std::vector<std::vector<std::vector<Bytes>>> pushed;  // by round, rank, device
  std::vector<Bytes> expected;                          // after each round
};

void RunPlan(Worker& worker, const Plan& plan) {
  const int key = static_cast<int>(plan.dtype);
  const size_t elements = plan.initial.size() / DataTypeBytes(plan.dtype);
  const auto expect = [&](const Bytes& value, const std::string& when) {
    if (PulledFrom(worker.store(), key, elements, plan.dtype) == value) return;
    FailIn(__FILE__, __LINE__, std::string(DataTypeName(plan.dtype)) + " after " + when);
  };
  worker.store().Init(Ints{key}, {ToArray(plan.initial, plan.dtype)});
  expect(plan.initial, "Init");
  for (size_t round = 0; round < plan.optimizers.size(); ++round) {
    worker.store().Barrier();
    worker.SetOptimizer(SpecOf(plan.optimizers[round]));
    std::vector<NDArray> arrays;
    for (const Bytes& bytes : plan.pushed[round][static_cast<size_t>(worker.rank())]) {
      arrays.push_back(ToArray(bytes, plan.dtype));
    }
    worker.store().Push(Ints(arrays.size(), key), arrays);
    expect(plan.expected[round], "round " + std::to_string(round));
  }
}

}  // namespace

TEST_CASE("a push of every dtype is the fold of its values, rounded once", "[dtypes]") {
  struct Size {
    int devices;
    size_t bytes;
  };
  // One element; odd sizes of one part; several parts, of which the last is short.
  const auto size =
      GENERATE(Size{3, 8}, Size{1, 67 * 8}, Size{5, 67 * 8}, Size{2, (1 << 20) + 4008});
  CAPTURE(size.devices, size.bytes);
  // Many elements take the oracle long: they are for stores of up to two workers.
  const bool several_parts = size.bytes > 1 << 20;
  const Which few_workers = [](const StoreKind& kind) {
    return StoreWithOneOrder(kind) && kind.workers <= 2;
  };
  const Which in_order = [](const StoreKind& kind) {
    return StoreWithOneOrder(kind) && StoreWithTheListsOrder(kind);
  };
  const Which few_in_order = [](const StoreKind& kind) {
    return StoreWithOneOrder(kind) && kind.workers <= 2 && StoreWithTheListsOrder(kind);
  };
  for (const DataType dtype : kEveryDType) {
    // One dtype of each way to be summed.
    if (several_parts && dtype != DataType::kFloat64 && dtype != DataType::kFloat16 &&
        dtype != DataType::kInt32) {
      continue;
    }
    if (kOnlyRaces && dtype != DataType::kFloat16) continue;
    CAPTURE(DataTypeName(dtype));
    const bool any_order = size.devices == 1 || !DTypeOracle(ToDType(dtype)).IsFloat();
    const Which which = several_parts ? (any_order ? few_workers : few_in_order)
                                      : (any_order ? StoreWithOneOrder : in_order);
    std::map<std::pair<uint32_t, bool>, Plan> plans;  // by workers, and whether there are rounds
    for (const StoreKind& kind : StoresHere(which)) {
      plans.try_emplace({kind.workers, kind.rounds}, dtype, kind, size.devices,
                        size.bytes / DataTypeBytes(dtype));
    }
    OnEvery(which, [&](Worker& worker) {
      RunPlan(worker, plans.at({worker.kind().workers, worker.kind().rounds}));
    });
  }
}

TEST_CASE("rows of every dtype are the fold of the values, rounded once", "[rows][dtypes]") {
  // Of one stripe and of 61.
  const int64_t height = GENERATE(50, 1 << 20);
  constexpr int64_t kWidth = 33;
  CAPTURE(height);
  OnEvery(StoreWithOneOrder, [&](Worker& worker) {
    KVStore& store = worker.store();
    for (const DataType dtype : kEveryDType) {
      const DTypeOracle oracle(ToDType(dtype));
      const Dims shape = {height, kWidth};
      const Ints key = {static_cast<int>(dtype)};
      store.Init(key, {NDArray::RowSparse(shape, dtype)});
      // Row 7 is in every contribution, and twice in the list; row 10 + r in that of rank r only.
      const Bytes zeros(kWidth * DataTypeBytes(dtype));
      std::map<int64_t, Bytes> value = {{7, zeros}};
      for (int r = 0; r < worker.workers(); ++r) value[10 + r] = zeros;
      int round = 0;
      for (const Optimizer optimizer : OptimizersFor(worker.kind(), oracle)) {
        store.Barrier();
        worker.SetOptimizer(SpecOf(optimizer));
        ++round;
        std::map<int64_t, std::vector<Bytes>> sums;  // by row, what is to be summed
        for (int r = 0; r < worker.workers(); ++r) {
          const std::vector<Bytes> rows = Pushed(oracle, r, round, 3, kWidth);
          sums[7].push_back(oracle.Contribution({rows[0], rows[2]}));
          sums[10 + r].push_back(rows[1]);
          if (r != worker.rank()) continue;
          Bytes both = rows[0];
          both.insert(both.end(), rows[1].begin(), rows[1].end());
          const NDArray two({2, kWidth}, dtype), one({1, kWidth}, dtype);
          std::copy(both.begin(), both.end(), two.data_as<uint8_t>());
          std::copy(rows[2].begin(), rows[2].end(), one.data_as<uint8_t>());
          store.Push(Ints(2, key[0]), {NDArray::RowSparse(shape, {7, 10 + r}, two),
                                       NDArray::RowSparse(shape, {7}, one)});
        }
        Bytes expected;
        std::vector<int64_t> ids;
        for (auto& [row, bytes] : value) {
          bytes = After(optimizer, oracle, bytes, sums[row]);
          expected.insert(expected.end(), bytes.begin(), bytes.end());
          ids.push_back(row);
        }
        expected.insert(expected.end(), zeros.begin(), zeros.end());
        ids.push_back(40);
        NDArray out = NDArray::RowSparse(shape, dtype);
        store.PullRowSparse(key, {{&out, Ids(ids)}});
        out.WaitToRead();
        if (Bytes(out.data_as<uint8_t>(), out.data_as<uint8_t>() + out.bytes()) != expected) {
          FailIn(__FILE__, __LINE__,
                 std::string(DataTypeName(dtype)) + " after round " + std::to_string(round));
        }
      }
    }
  });
}

}  // namespace kvstore
