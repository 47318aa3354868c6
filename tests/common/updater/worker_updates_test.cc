// Updates by one worker's push each, that know what the worker has seen: dcasgd with per_worker.
#include <catch2/catch.hpp>
#include <cstring>

#include "common/model/worker_tensors.h"
#include "common/updater/part_updater.h"
#include "tests/common/updater/golden_file.h"

namespace kvstore {
namespace {

using testing::FromBits;
using testing::GoldenCase;
using testing::ReadGoldenFile;

constexpr KeyId kKey = 17;

template <typename T>
MutableBufferPtr BufferOf(const std::vector<T>& numbers) {
  auto buffer = std::make_shared<Buffer>(numbers.size() * sizeof(T));
  std::memcpy(buffer->data(), numbers.data(), buffer->size());
  return buffer;
}

template <typename T>
bool Same(const Buffer& buffer, const std::vector<T>& numbers) {
  return buffer.size() == numbers.size() * sizeof(T) &&
         std::memcmp(buffer.data(), numbers.data(), buffer.size()) == 0;
}

// `T`: of the value; `Sum`: what it is computed in.
template <typename T, typename Sum>
void Check(const GoldenCase& golden) {
  PartUpdater updater;
  REQUIRE(updater.Set({golden.optimizer, golden.parameters, {{kKey, golden.multipliers}}}).ok());
  const bool masters = golden.parameters.count("multi_precision") > 0 &&
                       golden.parameters.at("multi_precision") == 1;
  BufferPtr value = BufferOf(FromBits<T>(golden.values.at(0)));
  std::unique_ptr<UpdaterState> state;
  REQUIRE(golden.workers.size() == 12);
  for (const auto& [n, worker] : golden.workers) {
    CAPTURE(n, worker);
    RoundCounts counts;
    counts.worker = worker;
    const auto updated = updater.Update(
        kKey, golden.dtype, *value, BufferOf(FromBits<Sum>(golden.sums.at(n))), &state, 0, counts);
    REQUIRE(updated.ok());
    value = *updated;
    REQUIRE(Same(*value, FromBits<T>(golden.values.at(n))));
    const auto& expected = golden.states.at(n);
    REQUIRE(state->tensors.size() == expected.size() + (masters ? 1 : 0));
    for (size_t i = masters ? 1 : 0; i < state->tensors.size(); ++i) {
      CAPTURE(state->names[i]);
      const std::vector<uint64_t>& bits = expected.at(state->names[i]);
      REQUIRE((masters ? Same(*state->tensors[i], FromBits<Sum>(bits))
                       : Same(*state->tensors[i], FromBits<T>(bits))));
    }
  }
}

// An f32 value.
struct Part {
  BufferPtr value = BufferOf(std::vector<float>{8, -2});
  std::unique_ptr<UpdaterState> state;

  absl::Status Update(const PartUpdater& updater, std::optional<WorkerRank> worker,
                      const std::vector<float>& sum) {
    RoundCounts counts;
    counts.worker = worker;
    const auto updated =
        updater.Update(kKey, DType::kFloat32, *value, BufferOf(sum), &state, 0, counts);
    if (updated.ok()) value = *updated;
    return updated.status();
  }
  bool Is(const std::vector<float>& expected) const { return Same(*value, expected); }
};

PartUpdater PerWorker(const UpdaterParameters& more = {}) {
  UpdaterParameters parameters{{"learning_rate", 1}, {"lamda", 1}, {"per_worker", 1}};
  parameters.insert(more.begin(), more.end());
  PartUpdater updater;
  REQUIRE(updater.Set({"dcasgd", parameters}).ok());
  return updater;
}

}  // namespace

TEST_CASE("updates that know what each worker has seen give NumPy's bits", "[updater][golden]") {
  size_t cases = 0;
  for (const GoldenCase& golden : ReadGoldenFile("workers.txt")) {
    CAPTURE(golden.title);
    if (golden.dtype == DType::kFloat32) Check<float, float>(golden);
    if (golden.dtype == DType::kFloat64) Check<double, double>(golden);
    if (golden.dtype == DType::kFloat16) Check<F16, float>(golden);
    if (golden.dtype == DType::kBFloat16) Check<BF16, float>(golden);
    ++cases;
  }
  CHECK(cases == 23);
}

TEST_CASE("a gradient is corrected for what was made since its worker's last update", "[updater]") {
  const PartUpdater updater = PerWorker();
  Part part;
  REQUIRE(part.Update(updater, 5, {2, 0}).ok());  // the first one of a worker: nothing to correct
  CHECK(part.Is({6, -2}));
  REQUIRE(part.Update(updater, 0, {2, 1}).ok());
  CHECK(part.Is({4, -3}));
  REQUIRE(part.Update(updater, 5, {1, 1}).ok());  // 1 + 1 * 1 * (4 - 6), 1 + 1 * 1 * (-3 - -2)
  CHECK(part.Is({5, -3}));
  REQUIRE(part.Update(updater, 5, {1, 1}).ok());  // its own
  CHECK(part.Is({4, -4}));
  REQUIRE(part.Update(updater, 0, {1, 1}).ok());  // 1 + (4 - 4), 1 + (-4 - -3)
  CHECK(part.Is({3, -4}));
  CHECK(part.state->names == std::vector<std::string>{"previous@0", "previous@5"});
  CHECK(Same(*part.state->tensors[0], std::vector<float>{3, -4}));
  CHECK(Same(*part.state->tensors[1], std::vector<float>{4, -4}));
  CHECK(part.state->bytes() == 16);
}

TEST_CASE("one worker alone has nothing to correct", "[updater]") {
  const double momentum = GENERATE(0.0, 0.5);
  CAPTURE(momentum);
  const PartUpdater updater = PerWorker({{"momentum", momentum}});
  PartUpdater sgd;
  REQUIRE(sgd.Set({"sgd", {{"learning_rate", 1}, {"momentum", momentum}}}).ok());
  Part part, plain;
  for (const float g : {1.5f, -0.25f, 7.0f}) {
    REQUIRE(part.Update(updater, 3, {g, -g}).ok());
    REQUIRE(plain.Update(sgd, 3, {g, -g}).ok());
    CHECK(std::memcmp(plain.value->data(), part.value->data(), part.value->size()) == 0);
  }
}

TEST_CASE("an update by no one worker's push is refused, and so are rows", "[updater]") {
  const PartUpdater updater = PerWorker();
  Part part;
  CHECK(part.Update(updater, std::nullopt, {1, 1}) ==
        absl::InvalidArgumentError("optimizer 'dcasgd' with per_worker: an update by one worker's "
                                   "push expected, got one by the sum of all workers'"));
  CHECK(part.state == nullptr);
  CHECK(part.Is({8, -2}));
  CHECK(updater.CheckRows(DType::kFloat32) ==
        absl::InvalidArgumentError(
            "optimizer 'dcasgd': per_worker = 0 expected for a row_sparse key, got 1"));
  CHECK(updater.CheckDType(DType::kFloat32).ok());
  CHECK(updater.updates_by_worker());
  CHECK_FALSE(PartUpdater().updates_by_worker());
}

TEST_CASE("what is kept of workers is of so many at most", "[updater]") {
  const PartUpdater updater = PerWorker();
  Part part;
  for (WorkerRank rank = 0; rank < kWorkerTensorsMax; ++rank) {
    REQUIRE(part.Update(updater, rank, {0, 0}).ok());
  }
  CHECK(part.Update(updater, kWorkerTensorsMax, {1, 1}) ==
        absl::ResourceExhaustedError(
            "optimizer 'dcasgd' with per_worker: at most 240 workers expected, got one more"));
  CHECK(part.Is({8, -2}));
  CHECK(part.Update(updater, 239, {1, 1}).ok());
}

TEST_CASE("another number keeps what was kept of workers, another optimizer does not",
          "[updater]") {
  Part part;
  REQUIRE(part.Update(PerWorker(), 1, {1, 1}).ok());
  REQUIRE(part.Update(PerWorker({{"wd", 0}}), 2, {1, 1}).ok());
  CHECK(part.state->names == std::vector<std::string>{"previous@1", "previous@2"});
  CHECK(part.state->updates == 2);
  REQUIRE(part.Update(PerWorker({{"momentum", 0.5}}), 2, {1, 1}).ok());
  CHECK(part.state->names == std::vector<std::string>{"momentum", "previous@2"});
  PartUpdater shared;
  REQUIRE(shared.Set({"dcasgd", {}}).ok());
  REQUIRE(part.Update(shared, 2, {1, 1}).ok());
  CHECK(part.state->names == std::vector<std::string>{"moved"});
  PartUpdater changed = PerWorker();
  CHECK(changed.Change({5, {{"per_worker", 0}}}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(changed.Change({5, {{"lamda", 0.5}}}).ok());
}

}  // namespace kvstore
