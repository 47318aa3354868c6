// What a DeviceReducer has under way on streams, in any order that is legal: the bits are those of
// the CPU, and what fails in the middle leaves nothing behind.
//
// A seed gives the arrays, and the order of work on streams: the same every time, and some fresh
// ones. What fails says its seed; KVS_TEST_CUDA_SEED gives it back, KVS_TEST_CUDA_SEEDS says how
// many are run.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "client/array/ndarray_impl.h"
#include "client/reduce/device_reducer.h"
#include "common/kernels/convert.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/client/device/simulation.h"
#include "tests/support/dtype_arrays.h"

namespace kvstore {
namespace {

using cuda_sim::Call;
using testing::BytesOf;
using testing::Simulation;
using testing::Sound;

constexpr int kGpus = 2;
constexpr size_t kSlots = 2;
constexpr size_t kRange = 256;  // elements
constexpr uint64_t kSeeds = 40, kFresh = 10;

// A slot holds a range in the widest dtype, or half of that.
LaneOptions LanesOf(uint64_t seed) { return {kRange * (seed % 3 == 0 ? 4 : 8), kSlots}; }

uint64_t NumberOf(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::vector<uint64_t> Seeds() {
  const uint64_t given = NumberOf("KVS_TEST_CUDA_SEED", 0);
  if (given != 0) return {given};
  std::vector<uint64_t> seeds(NumberOf("KVS_TEST_CUDA_SEEDS", kSeeds));
  std::iota(seeds.begin(), seeds.end(), uint64_t{0});
  std::random_device fresh;
  for (uint64_t i = 0; i < kFresh; ++i) seeds.push_back(fresh());
  return seeds;
}

// Runs `sentence(seed)` by each.
template <typename Sentence>
void BySeeds(const Sentence& sentence) {
  // Three threads with two ranges each under way have a block for each of up to nine arrays.
  ::setenv("KVS_TEST_CUDA_MEMORY_MIB", "512", /*replace=*/0);
  testing::UseSimulatedGpus();
  const Sound sound;
  for (const uint64_t seed : Seeds()) {
    CAPTURE(seed);
    Simulation().seed(seed);
    sentence(seed);
    Sound::Restore();
  }
}

NDArray Placed(const NDArray& array, uint64_t place) {
  switch (place % 6) {
    case 0:
      return array.Copy(Context::Gpu(0));
    case 1:
      return array.Copy(Context::Gpu(1));
    case 2:
      return array.Copy(Context::CpuPinned());
    default:
      return array;
  }
}

struct Lists {
  DType dtype;
  std::vector<NDArray> on_host;
  std::vector<NDArray> placed;  // the first one on a GPU
  size_t elements;
};

Lists RandomLists(std::mt19937_64* random) {
  Lists lists;
  lists.dtype =
      std::vector<DType>{DType::kFloat32, DType::kFloat16, DType::kInt64}[(*random)() % 3];
  lists.elements = kRange * (1 + (*random)() % 8) + (*random)() % kRange;
  const testing::DTypeOracle oracle(lists.dtype);
  for (uint64_t i = 0, count = 1 + (*random)() % 8; i < count; ++i) {
    const DataType dtype = ToDataType(lists.dtype);
    lists.on_host.push_back(testing::ToArray(oracle.Random(*random, lists.elements), dtype));
    lists.placed.push_back(Placed(lists.on_host.back(), i == 0 ? (*random)() % 2 : (*random)()));
  }
  return lists;
}

ElementRange RangeOf(size_t block, size_t elements) {
  const size_t first = block * kRange;
  return {first, std::min(kRange, elements - first)};
}

size_t BlocksOf(size_t elements) { return (elements + kRange - 1) / kRange; }

absl::Status FoldAll(Reducer* reducer, const Lists& lists, absl::Span<const NDArray> values,
                     FoldedAs as, std::vector<uint8_t>* sum) {
  const DType to = as == FoldedAs::kRounded ? lists.dtype : AccumulatorOf(lists.dtype);
  sum->assign(lists.elements * DTypeBytes(to), 0);
  return RunAhead(&reducer->threads(), BlocksOf(lists.elements), [&](size_t block, size_t) {
    const ElementRange range = RangeOf(block, lists.elements);
    return reducer->BeginFold(lists.dtype, values, range, as, Stores::kCached,
                              sum->data() + range.first * DTypeBytes(to));
  });
}

std::vector<uint8_t> OnCpu(const Lists& lists, FoldedAs as) {
  CpuReducer reducer(1);
  std::vector<uint8_t> sum;
  REQUIRE(FoldAll(&reducer, lists, lists.on_host, as, &sum).ok());
  return sum;
}

// From a value that changes as soon as it may.
absl::Status BroadcastAll(Reducer* reducer, const Lists& lists, absl::Span<const NDArray> outputs) {
  std::vector<std::vector<uint8_t>> of_seats(reducer->threads().seats());
  return RunAhead(&reducer->threads(), BlocksOf(lists.elements), [&](size_t block, size_t seat) {
    const ElementRange range = RangeOf(block, lists.elements);
    const size_t width = DTypeBytes(lists.dtype);
    const auto* const from = lists.on_host[0].data_as<uint8_t>();
    std::vector<uint8_t>& data = of_seats[seat];
    data.assign(from + range.first * width, from + (range.first + range.elements) * width);
    return reducer->BeginBroadcast(lists.dtype, data.data(), range, Stores::kCached, outputs);
  });
}

// Each on some GPU or in host memory, one of them twice as wide.
std::vector<NDArray> RandomOutputs(const Lists& lists, std::mt19937_64* random) {
  std::vector<NDArray> outputs;
  for (uint64_t i = 0, count = 1 + (*random)() % 4; i < count; ++i) {
    const bool wide = i == 1 && lists.dtype != DType::kInt64;
    const DataType dtype = wide ? DataType::kFloat64 : ToDataType(lists.dtype);
    const NDArray zeros({static_cast<int64_t>(lists.elements)}, dtype);
    outputs.push_back(Placed(zeros, i == 0 ? (*random)() % 2 : (*random)()));
  }
  return outputs;
}

std::vector<uint8_t> Expected(const Lists& lists, DataType dtype) {
  const DType to = ToDType(dtype);
  std::vector<uint8_t> bytes(lists.elements * DTypeBytes(to));
  Convert(lists.dtype, lists.on_host[0].data(), to, bytes.data(), lists.elements);
  return bytes;
}

}  // namespace

TEST_CASE("by any seed a sum whose ranges are under way together has the bits of the CPU's",
          "[device][streams]") {
  BySeeds([](uint64_t seed) {
    std::mt19937_64 random(seed);
    Simulation().refuse_peers(random() % 4 == 0);
    DeviceReducer reducer(seed % 4 == 3 ? 3 : 1, /*sums_on_devices=*/true, LanesOf(seed));
    for (int i = 0; i < 3; ++i) {
      const Lists lists = RandomLists(&random);
      const FoldedAs as = random() % 2 == 0 ? FoldedAs::kRounded : FoldedAs::kAccumulated;
      CAPTURE(i, DTypeName(lists.dtype), lists.elements, lists.placed.size());
      std::vector<uint8_t> sum;
      const absl::Status folded = FoldAll(&reducer, lists, lists.placed, as, &sum);
      INFO(folded);
      REQUIRE(folded.ok());
      REQUIRE((sum == OnCpu(lists, as)));
    }
  });
}

TEST_CASE("by any seed outputs have the value whose ranges were under way together",
          "[device][streams]") {
  BySeeds([](uint64_t seed) {
    std::mt19937_64 random(seed);
    DeviceReducer reducer(seed % 4 == 3 ? 3 : 1, /*sums_on_devices=*/random() % 2 == 0,
                          LanesOf(seed));
    for (int i = 0; i < 3; ++i) {
      const Lists lists = RandomLists(&random);
      const std::vector<NDArray> outputs = RandomOutputs(lists, &random);
      CAPTURE(i, DTypeName(lists.dtype), lists.elements, outputs.size());
      REQUIRE(BroadcastAll(&reducer, lists, outputs).ok());
      for (const NDArray& output : outputs) {
        REQUIRE((BytesOf(output) == Expected(lists, output.dtype())));
      }
    }
  });
}

// The arrays of what failed are gone when the next sum begins, and its blocks and slots are used
// again: whatever is still under way then, changes what comes next.
TEST_CASE("by any seed what fails in the middle has a type, loses no slot, and harms no later sum",
          "[device][streams][faults]") {
  BySeeds([](uint64_t seed) {
    std::mt19937_64 random(seed);
    const uint64_t pinned_before = Simulation().live_pinned();
    {
      DeviceReducer reducer(1, /*sums_on_devices=*/true, LanesOf(seed));
      for (int i = 0; i < 6; ++i) {
        const Call call = std::vector<Call>{Call::kAllocation, Call::kCopy, Call::kLaunch,
                                            Call::kCopyUnderWay}[random() % 4];
        CAPTURE(i, static_cast<int>(call));
        const bool broadcasts = random() % 3 == 0;
        absl::Status done;
        {
          const Lists lists = RandomLists(&random);
          const std::vector<NDArray> outputs = RandomOutputs(lists, &random);
          std::vector<uint8_t> sum;
          Simulation().fail(call, static_cast<int64_t>(random() % 20));
          done = broadcasts ? BroadcastAll(&reducer, lists, outputs)
                            : FoldAll(&reducer, lists, lists.placed, FoldedAs::kRounded, &sum);
          CHECK(done.ok() == !Simulation().has_failed());
          if (!done.ok()) {
            CHECK(done.code() == (call == Call::kAllocation ? absl::StatusCode::kResourceExhausted
                                                            : absl::StatusCode::kInternal));
          }
          for (const Call each :
               {Call::kAllocation, Call::kCopy, Call::kLaunch, Call::kCopyUnderWay}) {
            Simulation().fail(each, -1);
          }
          if (!done.ok() && (call == Call::kLaunch || call == Call::kCopyUnderWay)) {
            Simulation().forget_errors();
          }
        }
        {
          const Lists lists = RandomLists(&random);
          std::vector<uint8_t> sum;
          const absl::Status folded =
              FoldAll(&reducer, lists, lists.placed, FoldedAs::kRounded, &sum);
          INFO(folded);
          REQUIRE(folded.ok());
          REQUIRE((sum == OnCpu(lists, FoldedAs::kRounded)));
        }
        // One thread has two ranges under way.
        CHECK(Simulation().live_pinned() - pinned_before <= size_t{kGpus} * 2 * kSlots);
      }
    }
    CHECK(Simulation().live_pinned() == pinned_before);
  });
}

TEST_CASE("parts of many pulls at once are waited for when a GPU's lanes are crowded",
          "[device][streams]") {
  testing::UseSimulatedGpus();
  const Sound sound;
  constexpr size_t kLanes = 3;
  const uint64_t pinned_before = Simulation().live_pinned();
  const DeviceReducer reducer(1, /*sums_on_devices=*/true, {kRange * 8, kSlots, kLanes});
  const NDArray output = NDArray({4}).Copy(Context::Gpu(0));
  std::vector<UnderWayPtr> under_way;
  size_t left = 0;
  for (int i = 0; i < 10; ++i) {
    const float data[4] = {1, 2, 3, 4};
    auto begun = reducer.BeginBroadcast(DType::kFloat32, data, {0, 4}, Stores::kCached, {output});
    REQUIRE(begun.ok());
    if (*begun != nullptr) ++left;
    under_way.push_back(*std::move(begun));
  }
  CHECK(left == kLanes);
  CHECK(Simulation().live_pinned() - pinned_before <= (kLanes + 1) * kSlots);
}

TEST_CASE("a slot that cannot be had is an error of who wants it", "[device][streams][errors]") {
  testing::UseSimulatedGpus();
  const Sound sound;
  DeviceReducer reducer(1, /*sums_on_devices=*/true, LanesOf(0));
  const NDArray array = NDArray({4}).Copy(Context::Gpu(0));
  Simulation().fail(Call::kAllocation, 0);
  float to[4] = {};
  const absl::Status folded =
      reducer.Fold(DType::kFloat32, {array}, {0, 4}, FoldedAs::kAccumulated, Stores::kCached, to);
  CHECK(folded.code() == absl::StatusCode::kResourceExhausted);
  CHECK(folded.message() == "pinned host memory on gpu(0): out of memory");
}

}  // namespace kvstore
