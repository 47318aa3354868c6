// Numbers of an optimizer that change at a step.
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "common/kernels/kernels.h"
#include "common/updater/part_updater.h"

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

MutableBufferPtr Floats(const std::vector<float>& values) {
  auto buffer = std::make_shared<Buffer>(values.size() * sizeof(float));
  std::memcpy(buffer->data(), values.data(), buffer->size());
  return buffer;
}

PartUpdater UpdaterOf(const std::string& name, const UpdaterParameters& parameters = {}) {
  PartUpdater updater;
  REQUIRE(updater.Set({name, parameters}).ok());
  return updater;
}

// A part of one element, from 0.
struct OnePart {
  BufferPtr value = Floats({0});
  std::unique_ptr<UpdaterState> state;

  float Update(const PartUpdater& updater, float gradient, uint64_t step) {
    auto updated =
        updater.Update(17, DType::kFloat32, *value, Floats({gradient}), &state, 0, {1, 1, step});
    REQUIRE(updated.ok());
    value = *updated;
    float number = 0;
    std::memcpy(&number, value->data(), sizeof number);
    return number;
  }
};

// How far one update by a gradient of 1 goes, at that step.
float RateAt(const PartUpdater& updater, uint64_t step) {
  return -OnePart().Update(updater, 1, step);
}

TEST_CASE("a number changes in updates of its step and later, in whatever order they are made",
          "[updater][numbers]") {
  PartUpdater updater = UpdaterOf("sgd", {{"learning_rate", 1}});
  REQUIRE(updater.Change({5, {{"learning_rate", 0.5}}}).ok());
  REQUIRE(updater.Change({9, {{"learning_rate", 0.25}}}).ok());
  for (const auto& [step, rate] : std::vector<std::pair<uint64_t, float>>{
           {9, 0.25f}, {4, 1}, {100, 0.25f}, {5, 0.5f}, {8, 0.5f}, {0, 1}}) {
    CAPTURE(step);
    CHECK(RateAt(updater, step) == rate);
  }
  CHECK(updater.config().parameters.at("learning_rate") == 1);
  CHECK(updater.changes().size() == 2);
}

TEST_CASE(
    "of two changes of one number the one of the greater step counts from there on, of one "
    "step the later call",
    "[updater][numbers]") {
  PartUpdater updater = UpdaterOf("sgd", {{"learning_rate", 1}});
  REQUIRE(updater.Change({9, {{"learning_rate", 0.25}}}).ok());
  REQUIRE(updater.Change({5, {{"learning_rate", 0.5}}}).ok());  // called later, counts until 9
  CHECK(RateAt(updater, 8) == 0.5f);
  CHECK(RateAt(updater, 9) == 0.25f);
  REQUIRE(updater.Change({9, {{"learning_rate", 0.125}}}).ok());
  CHECK(RateAt(updater, 9) == 0.125f);
  // A number that a later step does not name goes on there.
  REQUIRE(updater.Change({5, {{"rescale_grad", 2}}}).ok());
  CHECK(RateAt(updater, 5) == 1.0f);
  CHECK(RateAt(updater, 9) == 0.25f);
  CHECK(RateAt(updater, 4) == 1.0f);
}

TEST_CASE("what is kept beside a value stays when a number changes", "[updater][numbers]") {
  PartUpdater updater = UpdaterOf("sgd", {{"learning_rate", 0.5}, {"momentum", 0.5}});
  REQUIRE(updater.Change({1, {{"momentum", 1}, {"learning_rate", 0.25}}}).ok());
  OnePart part;
  CHECK(part.Update(updater, 1, 0) == -0.5f);   // m = -0.5
  CHECK(part.Update(updater, 1, 1) == -1.25f);  // m = -0.5 - 0.25
  CHECK(part.state->updates == 2);
}

TEST_CASE("a schedule goes on with another base, and a factor of a key holds for what is changed",
          "[updater][numbers]") {
  OptimizerConfig config{"sgd", {{"learning_rate", 1}}};
  config.schedule = {"multifactor", {{"factor", 0.5}}, {1}};
  config.multipliers[17] = {2, 1};
  PartUpdater updater;
  REQUIRE(updater.Set(config).ok());
  REQUIRE(updater.Change({3, {{"learning_rate", 4}}}).ok());
  OnePart part;
  CHECK(part.Update(updater, 1, 0) == -2);  // rate 1, twice
  CHECK(part.Update(updater, 1, 1) == -3);  // 1 / 2, twice
  CHECK(part.Update(updater, 1, 3) == -7);  // 4 / 2, twice
}

TEST_CASE("a measuring uses the numbers of the update that follows", "[updater][numbers]") {
  PartUpdater updater = UpdaterOf("lamb", {{"wd", 0}});
  REQUIRE(updater.Change({2, {{"wd", 0.5}}}).ok());
  const PartUpdater then = UpdaterOf("lamb", {{"wd", 0.5}});
  const auto measured = [](const PartUpdater& by, uint64_t step) {
    return *by.Measure(0, 17, DType::kFloat32, *Floats({3, 4}), *Floats({1, 2}), nullptr,
                       {1, 1, step}, NormSums());
  };
  CHECK(measured(updater, 1) == measured(UpdaterOf("lamb", {{"wd", 0}}), 0));
  CHECK(measured(updater, 2) == measured(then, 0));
  CHECK(!(measured(updater, 1) == measured(updater, 2)));
}

TEST_CASE("an optimizer that is set anew forgets all changes", "[updater][numbers]") {
  PartUpdater updater = UpdaterOf("sgd", {{"learning_rate", 1}});
  REQUIRE(updater.Change({5, {{"learning_rate", 0.5}}}).ok());
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 2}}}).ok());
  CHECK(RateAt(updater, 7) == 2);
  CHECK(updater.changes().empty());
}

TEST_CASE("a copy of an updater is changed by itself", "[updater][numbers]") {
  const PartUpdater updater = UpdaterOf("sgd", {{"learning_rate", 1}});
  PartUpdater copy = updater;
  REQUIRE(copy.Change({5, {{"learning_rate", 0.5}}}).ok());
  CHECK(RateAt(updater, 7) == 1);
  CHECK(RateAt(copy, 7) == 0.5f);
}

TEST_CASE("a change that cannot be is refused, and changes nothing", "[updater][numbers]") {
  PartUpdater updater = UpdaterOf("sgd", {{"learning_rate", 1}});
  REQUIRE(updater.Change({5, {{"learning_rate", 0.5}}}).ok());
  const auto refused = [&](const NumbersChange& change, const std::string& message) {
    const absl::Status status = updater.Change(change);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), Contains(message));
    CHECK(RateAt(updater, 4) == 1);
    CHECK(RateAt(updater, 5) == 0.5f);
  };
  refused({0, {{"wd", 0}}}, "a step of at least 1 expected, got 0");
  refused({3, {}}, "at least one number expected, got none");
  refused({3, {{"learning_rat", 1}}}, "learning_rate");  // lists the known ones
  refused({3, {{"learning_rate", -1}}}, "a finite number >= 0");
  refused({3, {{"momentum", 0.5}}}, "it keeps [momentum]: that takes SetOptimizer");
  for (const std::string fixed : {"multi_precision", "mxnet1", "lazy_update", "begin_num_update"}) {
    refused({3, {{fixed, 1}}}, "'" + fixed + "' is fixed by SetOptimizer");
  }
  // In range by itself, but not with the factor of a key.
  OptimizerConfig config{"sgd", {{"learning_rate", 1}}};
  config.multipliers[17] = {1e30, 1};
  REQUIRE(updater.Set(config).ok());
  CHECK_THAT(std::string(updater.Change({1, {{"learning_rate", 1e30}}}).message()),
             Contains("learning_rate * lr_mult"));
}

TEST_CASE("numbers may change from 4096 steps on, of one optimizer", "[updater][numbers]") {
  PartUpdater updater = UpdaterOf("sgd");
  for (uint64_t step = 1; step <= NumbersChange::kStepsMax; ++step) {
    REQUIRE(updater.Change({step, {{"wd", 0}}}).ok());
  }
  const absl::Status full = updater.Change({NumbersChange::kStepsMax + 1, {{"wd", 0}}});
  CHECK(full.code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(full.message()), Contains("at most 4096 steps expected"));
  CHECK(updater.Change({NumbersChange::kStepsMax, {{"wd", 1}}}).ok());
}

TEST_CASE("every optimizer with a learning rate may change it", "[updater][numbers]") {
  for (const std::string& name : UpdaterNames()) {
    CAPTURE(name);
    PartUpdater updater = UpdaterOf(name);
    const absl::Status changed = updater.Change({1, {{"learning_rate", 0.5}}});
    const bool has_rate = name != "assign" && name != "sum" && name != "test";
    CHECK(changed.ok() == has_rate);
  }
}

}  // namespace
}  // namespace kvstore
