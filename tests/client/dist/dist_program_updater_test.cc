// Servers with an updater of their program, in this process: which bits it sees, and what becomes
// of a round that it refuses.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "server/values/program_updater.h"
#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/expect_error.h"
#include "tests/support/must.h"

namespace kvstore {
namespace {

// value += 10 * sum, of f32; of other dtypes the sum's bytes. Refuses what begins with 13, after it
// has written.
class TenTimes final : public ProgramUpdater {
 public:
  bool is_set() const override { return set_; }
  absl::Status Update(const ProgramUpdate& update) override {
    const auto& [merged, stored] = std::pair(update.merged, update.stored);
    const KeySpec& key = *update.key;
    if (merged->size() != stored->size()) return absl::InternalError("sizes differ");
    if (key.dtype != DType::kFloat32) {
      std::memcpy(stored->data(), merged->data(), stored->size());
      return absl::OkStatus();
    }
    const auto* sum = reinterpret_cast<const float*>(merged->data());
    auto* value = reinterpret_cast<float*>(stored->data());
    for (size_t i = 0; i < stored->size() / sizeof(float); ++i) value[i] += 10 * sum[i];
    if (sum[0] != 13) return absl::OkStatus();
    return absl::OutOfRangeError(KeyLabel(key.key, key.name) + " part " +
                                 std::to_string(update.part.part) + ": 13 is refused");
  }
  void Unset() { set_ = false; }

 private:
  bool set_ = true;
};

DistClusterOptions OptionsOf(ProgramUpdater* updater, uint32_t workers) {
  DistClusterOptions options;
  options.workers = workers;
  options.servers = 2;
  options.shards = 2;
  options.program_updater = updater;
  return options;
}

void MustBe(const NDArray& array, float value) {
  array.WaitToRead();
  for (int64_t i = 0; i < array.size(); ++i) {
    if (array.data_as<float>()[i] != value) {
      throw std::runtime_error("element " + std::to_string(i) + ": " + std::to_string(value) +
                               " expected, got " + std::to_string(array.data_as<float>()[i]));
    }
  }
}

}  // namespace

TEST_CASE("the program's updater gets the sum of all workers, part by part", "[dist][program]") {
  TenTimes updater;
  DistCluster cluster(OptionsOf(&updater, 2));
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{7}, {Filled(kSeveralParts, 5)});
    NDArray out({kSeveralParts});
    for (int round = 1; round <= 3; ++round) {
      store.Push(Ints{7}, {Filled(kSeveralParts, static_cast<float>(rank + 1))});
      store.Pull(Ints{7}, {&out});
      MustBe(out, 5 + 30 * static_cast<float>(round));
    }
    if (rank == 0) {
      MUST_THROW(store.SetOptimizer(OptimizerSpec("sum")), kFailedPrecondition,
                 "this server runs the updater of its program");
    }
    store.Barrier();
    store.Push(Ints{7}, {Filled(kSeveralParts, 1)});
    store.Pull(Ints{7}, {&out});
    MustBe(out, 115);
  }) == NothingThrown(2));
}

TEST_CASE("a round that the program's updater refuses leaves the value, and all contributors know",
          "[dist][program]") {
  TenTimes updater;
  DistCluster cluster(OptionsOf(&updater, 2));
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{7}, {Filled(3, 5)});
    NDArray out({3});
    store.Push(Ints{7}, {Filled(3, rank == 0 ? 6.0F : 7.0F)});
    MUST_THROW(store.Wait(Ints{7}), kOutOfRange, "key 7 part 0: 13 is refused");
    store.Pull(Ints{7}, {&out});
    MustBe(out, 5);  // it had written to its copy
    store.Push(Ints{7}, {Filled(3, 1)});
    store.Pull(Ints{7}, {&out});
    MustBe(out, 25);
  }) == NothingThrown(2));
}

TEST_CASE("the program's updater sees f16 sums rounded once to f16", "[dist][program]") {
  TenTimes updater;
  DistCluster cluster(OptionsOf(&updater, 3));
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    // 2048 + 1 + 1: in f16, step by step, it would stay 2048.
    const uint16_t pushed = rank == 0 ? 0x6800 : 0x3c00;
    NDArray value({2}, DataType::kFloat16);
    NDArray out({2}, DataType::kFloat16);
    store.Init(Ints{7}, {value});
    NDArray push({2}, DataType::kFloat16);
    for (int i = 0; i < 2; ++i) push.data_as<uint16_t>()[i] = pushed;
    store.Push(Ints{7}, {push});
    store.Pull(Ints{7}, {&out});
    out.WaitToRead();
    if (out.data_as<uint16_t>()[1] != 0x6801) throw std::runtime_error("2050 expected");
  }) == NothingThrown(3));
}

TEST_CASE("an optimizer that a program's server refuses is set on no other either",
          "[dist][program]") {
  TenTimes updater;
  DistClusterOptions options = OptionsOf(&updater, 1);
  options.program_rank = 1;
  DistCluster cluster(options);
  CHECK(cluster.Run([](KVStore& store, int) {
    store.Init(Ints{1}, {Filled(kSeveralParts, 1)});
    MUST_THROW(store.SetOptimizer(OptimizerSpec("sum")), kFailedPrecondition,
               "SetOptimizer 'sum': this server runs the updater of its program");
    store.Push(Ints{1}, {Filled(kSeveralParts, 5)});
    NDArray out({kSeveralParts});
    store.Pull(Ints{1}, {&out});
    out.WaitToRead();
    // 1 + 10 * 5 on the program's server, still "assign" on the other.
    const auto* value = out.data_as<float>();
    const auto assigned = std::count(value, value + kSeveralParts, 5.0f);
    const auto programs = std::count(value, value + kSeveralParts, 51.0f);
    if (assigned == 0 || programs == 0 || assigned + programs != kSeveralParts) {
      throw std::runtime_error(std::to_string(assigned) + " assigned, " + std::to_string(programs) +
                               " by the program");
    }
  }) == NothingThrown(1));
}

TEST_CASE("an asynchronous store needs no SetOptimizer where the program has an updater",
          "[dist][async][program]") {
  TenTimes updater;
  DistCluster cluster(OptionsOf(&updater, 1));
  CHECK(cluster.Run(
            [&](KVStore& store, int) {
              store.Init(Ints{7}, {Filled(3, 5)});
              NDArray out({3});
              for (int n = 1; n <= 4; ++n) store.Push(Ints{7}, {Filled(3, 1)});
              store.Pull(Ints{7}, {&out});
              MustBe(out, 45);
            },
            "dist_async") == NothingThrown(1));
}

}  // namespace kvstore
