// GPUs that fail: every call of the runtime that a call of a device store makes fails in turn. The
// error has a type, nothing is lost or half done, and the next call works where it can.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/client/device/simulation.h"
#include "tests/support/arrays.h"
#include "tests/support/cuda_sim/faults.h"
#include "tests/support/expect_error.h"

namespace kvstore {
namespace {

using cuda_sim::Call;
using testing::BytesOf;
using testing::Simulation;
using testing::Sound;

constexpr int kGpus = 8;
// Two parts, the second one short.
constexpr int64_t kTwoParts = (1 << 18) + 5;

// The SDK counts its GPUs when the first one is named.
void UseEightGpus() {
  REQUIRE(setenv("KVS_TEST_CUDA_DEVICES", "8", 1) == 0);
  KVStore::InitPSEnv({{"KVSTORE_CUDA_PLUGIN", KVS_CUDA_SIM}, {"KVSTORE_REDUCTION_THREADS", "1"}});
}

NDArray On(const NDArray& array, int gpu) {
  return gpu < 0 ? array : array.Copy(Context::Gpu(gpu));
}

// A store with a value of two parts, and the arrays of its calls on GPUs and in host memory.
struct World {
  World() {
    store->SetOptimizer(OptimizerSpec("sum"));
    store->Init(Ints{1}, {Filled(kTwoParts, 1)});
    store->WaitAll();
  }
  Floats Value() const { return PullFrom(*store, 1, kTwoParts); }

  std::unique_ptr<KVStore> store = KVStore::CreateUnique("device");
  std::vector<NDArray> values = {On(Filled(kTwoParts, 2), 0), On(Filled(kTwoParts, 4), 1),
                                 On(Filled(kTwoParts, 8), -1)};
  NDArray out = On(Filled(kTwoParts, 0), 0);
  NDArray out_on_host = Filled(kTwoParts, 0);
};

struct Named {
  const char* name;
  std::function<void(World&)> call;
  float value_after;  // in every place
};

const std::vector<Named>& Calls() {
  static const std::vector<Named> calls = {
      {"Push", [](World& w) { w.store->Push(Ints(3, 1), w.values); }, 15},
      {"Pull",
       [](World& w) {
         w.store->Pull(Ints{1, 1}, {&w.out, &w.out_on_host});
       },
       1},
      {"PushPull", [](World& w) { w.store->PushPull(Ints(3, 1), Ints{1}, w.values, {&w.out}); },
       15},
  };
  return calls;
}

// How the call ends, once it has been waited for.
std::optional<ErrorCode> CodeOf(const std::function<void()>& call) {
  try {
    call();
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}

bool AllAre(const Floats& numbers, float expected) {
  return std::all_of(numbers.begin(), numbers.end(), [&](float x) { return x == expected; });
}

ErrorCode RefusedAs(Call call) {
  return call == Call::kAllocation ? ErrorCode::kResourceExhausted : ErrorCode::kInternal;
}

}  // namespace

TEST_CASE("whichever call of a GPU's runtime fails, the value is the old or the new one",
          "[device][faults]") {
  UseEightGpus();
  const Sound sound;
  const Call failing = GENERATE(Call::kAllocation, Call::kCopy, Call::kLaunch, Call::kCopyUnderWay);
  Simulation().seed(GENERATE(0U, 1U, 2U));
  for (const Named& named : Calls()) {
    bool failed = true;
    for (int64_t spared = 0; failed; ++spared) {
      CAPTURE(named.name, static_cast<int>(failing), spared);
      REQUIRE(spared < 100);
      World world;
      Simulation().fail(failing, spared);
      const std::optional<ErrorCode> code = CodeOf([&] {
        named.call(world);
        world.store->WaitAll();
      });
      failed = Simulation().has_failed();
      Simulation().fail(failing, -1);
      CHECK(code.has_value() == failed);
      // What is in host memory is there to be pulled, also where a failed kernel ends all use of
      // GPUs.
      const Floats value = world.Value();
      const bool is_new = AllAre(value, named.value_after);
      CHECK((is_new || AllAre(value, 1)));
      if (code.has_value()) {
        // UNKNOWN is what has been pushed, and not pulled.
        const bool pushed = is_new && named.value_after != 1;
        CHECK(*code == (pushed ? ErrorCode::kUnknown : RefusedAs(failing)));
        if (failing == Call::kLaunch || failing == Call::kCopyUnderWay) {
          CHECK(CodeOf([&] {
                  named.call(world);
                  world.store->WaitAll();
                }) == ErrorCode::kInternal);
          const float before = is_new ? named.value_after : 1;
          world.store->Push(Ints{1}, {Filled(kTwoParts, 1)});
          CHECK(AllAre(world.Value(), before + 1));
          Sound::Restore();
          continue;
        }
        Sound::Restore();
        if (pushed) {
          world.store->Pull(Ints{1}, {&world.out});
        } else {
          named.call(world);
        }
      }
      CHECK(AllAre(world.Value(), named.value_after));
      if (named.value_after == 1 || std::string(named.name) == "PushPull") {
        Floats pulled(static_cast<size_t>(kTwoParts));
        world.out.SyncCopyToCPU(pulled.data(), pulled.size());
        CHECK(AllAre(pulled, named.value_after));
      }
    }
  }
}

TEST_CASE("where GPUs do not reach each other, copies go over the host", "[device][faults]") {
  UseEightGpus();
  const Sound sound;
  Simulation().refuse_peers(true);
  const NDArray there = Filled(kTwoParts, 3).Copy(Context::Gpu(0)).Copy(Context::Gpu(1));
  Floats numbers(static_cast<size_t>(kTwoParts));
  there.SyncCopyToCPU(numbers.data(), numbers.size());
  CHECK(AllAre(numbers, 3));
  World world;
  world.store->Push(Ints(3, 1), world.values);
  CHECK(AllAre(world.Value(), 15));
}

TEST_CASE("what failed leaves no memory of a GPU behind", "[device][faults]") {
  UseEightGpus();
  const Sound sound;
  World().store->WaitAll();
  const uint64_t before = Simulation().live_allocations();
  {
    World world;
    for (const int64_t spared : {0, 1, 2, 3, 4}) {
      Simulation().fail(spared % 2 == 0 ? Call::kAllocation : Call::kCopy, spared);
      CodeOf([&] {
        world.store->Push(Ints(3, 1), world.values);
        world.store->WaitAll();
      });
      Sound::Restore();
    }
  }
  CHECK(Simulation().live_allocations() == before);
}

// Seeds: a program of pushes and pulls with arrays anywhere on 1 to 8 GPUs, of which some fail.
TEST_CASE("by any seed a device store with failing GPUs has the value of the pushes that it took",
          "[device][faults]") {
  UseEightGpus();
  const Sound sound;
  static std::random_device fresh;
  const auto seed = GENERATE(take(40, random(0, 1 << 30))) ^ static_cast<int>(fresh() >> 2);
  std::mt19937_64 random(static_cast<uint64_t>(seed));
  const auto below = [&](int bound) {
    return static_cast<int>(random() % static_cast<uint64_t>(bound));
  };
  const int gpus = 1 + below(kGpus);
  const int64_t elements = 1 + below(300);
  CAPTURE(seed, gpus, elements);
  Simulation().seed(random());
  const auto store = KVStore::CreateUnique("device"), oracle = KVStore::CreateUnique("local");
  for (KVStore* const each : {store.get(), oracle.get()}) {
    each->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("momentum", 0.5));
    each->Init(Ints{1}, {Filled(elements, 1)});
  }
  Simulation().refuse_peers(below(2) == 0);
  for (int step = 0; step < 8; ++step) {
    CAPTURE(step);
    std::vector<NDArray> values, on_host;
    for (int i = 1 + below(9); i > 0; --i) {
      on_host.push_back(Filled(elements, static_cast<float>(below(1000)) / 7));
      values.push_back(On(on_host.back(), below(gpus + 1) - 1));
    }
    const bool armed = below(2) == 0;
    if (armed) {
      Simulation().fail(below(2) == 0 ? Call::kAllocation : Call::kCopy, below(12));
    }
    const auto pushed = CodeOf([&] {
      store->Push(Ints(values.size(), 1), values);
      store->WaitAll();
    });
    CHECK(pushed.has_value() == (armed && Simulation().has_failed()));
    for (const Call call : {Call::kAllocation, Call::kCopy}) Simulation().fail(call, -1);
    if (!pushed.has_value()) oracle->Push(Ints(values.size(), 1), on_host);
    NDArray out = On(Filled(elements, 0), below(gpus));
    store->Pull(Ints{1}, {&out});
    NDArray expected({elements});
    oracle->Pull(Ints{1}, {&expected});
    REQUIRE(BytesOf(out) == BytesOf(expected));
  }
}

}  // namespace kvstore
