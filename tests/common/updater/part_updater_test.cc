// The updater of a shard or a local store: which state a part has after which change of the rule.
#include "common/updater/part_updater.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

MutableBufferPtr Floats(const std::vector<float>& values) {
  auto buffer = std::make_shared<Buffer>(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(buffer->data(), values.data(), buffer->size());
  return buffer;
}

std::vector<float> Values(const Buffer& buffer) {
  std::vector<float> out(buffer.size() / sizeof(float));
  if (!out.empty()) std::memcpy(out.data(), buffer.data(), buffer.size());
  return out;
}

// A part with its value and state, updated by one rule after the other.
struct Part {
  BufferPtr value;
  std::unique_ptr<UpdaterState> state;

  void Update(const PartUpdater& updater, const std::vector<float>& sum) {
    auto updated = updater.Update(17, DType::kFloat32, *value, Floats(sum), &state);
    REQUIRE(updated.ok());
    value = *updated;
  }
};

}  // namespace

TEST_CASE("without an optimizer the value becomes the sum", "[updater]") {
  const PartUpdater updater;
  CHECK(updater.name() == "assign");
  Part part{Floats({1, 2, 3}), nullptr};
  part.Update(updater, {4, -0.0f, 6});
  CHECK(Values(*part.value) == std::vector<float>{4, -0.0f, 6});
  CHECK(part.state == nullptr);
}

TEST_CASE("assign and sum take every dtype, rules with factors the floats", "[updater]") {
  for (const std::string& name : UpdaterNames()) {
    PartUpdater updater;
    REQUIRE(updater.Set(name, {}).ok());
    for (int number = 1; number <= 9; ++number) {
      const auto dtype = static_cast<DType>(number);
      CAPTURE(name, DTypeName(dtype));
      const absl::Status status = updater.CheckDType(dtype);
      if (name == "assign" || name == "sum" || RulesCompute(AccumulatorOf(dtype))) {
        CHECK(status.ok());
      } else {
        CHECK(status.code() == absl::StatusCode::kInvalidArgument);
        CHECK(status.message() == "optimizer '" + name +
                                      "': dtype f32, f64, f16 or bf16 expected, got " +
                                      std::string(DTypeName(dtype)));
      }
    }
  }
}

TEST_CASE("the old value stays as it was and the sum's buffer becomes the new one", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set("sgd", {{"learning_rate", 0.5}, {"momentum", 0.5}}).ok());
  const BufferPtr old_value = Floats({1, 2, 3});
  const MutableBufferPtr sum = Floats({2, 4, 6});
  std::unique_ptr<UpdaterState> state;
  const auto updated = updater.Update(17, DType::kFloat32, *old_value, sum, &state);
  REQUIRE(updated.ok());
  CHECK(*updated == sum);
  CHECK(Values(*old_value) == std::vector<float>{1, 2, 3});
  CHECK(Values(**updated) == std::vector<float>{0, 0, 0});
}

TEST_CASE("momentum is remembered per part from zero", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set("sgd", {{"learning_rate", 0.5}, {"momentum", 0.5}}).ok());
  Part a{Floats({0}), nullptr};
  Part b{Floats({0}), nullptr};
  a.Update(updater, {1});  // m = -0.5
  CHECK(Values(*a.value) == std::vector<float>{-0.5f});
  a.Update(updater, {1});  // m = -0.25 - 0.5
  CHECK(Values(*a.value) == std::vector<float>{-1.25f});
  b.Update(updater, {1});
  CHECK(Values(*b.value) == std::vector<float>{-0.5f});
  REQUIRE(a.state != nullptr);
  CHECK(a.state->names == std::vector<std::string>{"momentum"});
  CHECK(Values(*a.state->tensors[0]) == std::vector<float>{-0.75f});
  CHECK(a.state->bytes() == 4);
}

TEST_CASE("other numbers of the same rule keep the state", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set("sgd", {{"learning_rate", 0.5}, {"momentum", 0.5}}).ok());
  Part part{Floats({0}), nullptr};
  part.Update(updater, {1});
  REQUIRE(updater.Set("sgd", {{"learning_rate", 0.25}, {"momentum", 1.0}}).ok());
  part.Update(updater, {1});  // m = -0.5 - 0.25
  CHECK(Values(*part.value) == std::vector<float>{-1.25f});
}

TEST_CASE("a rule that keeps nothing drops the state, and a later one starts from zero",
          "[updater]") {
  PartUpdater updater;
  Part part{Floats({0}), nullptr};
  REQUIRE(updater.Set("sgd", {{"learning_rate", 1}, {"momentum", 0.5}}).ok());
  part.Update(updater, {1});
  CHECK(part.state != nullptr);
  REQUIRE(updater.Set("sum", {}).ok());
  CHECK(part.state != nullptr);  // dropped with the next update
  part.Update(updater, {1});
  CHECK(part.state == nullptr);
  CHECK(Values(*part.value) == std::vector<float>{0});
  REQUIRE(updater.Set("sgd", {{"learning_rate", 1}, {"momentum", 0.5}}).ok());
  part.Update(updater, {1});
  CHECK(Values(*part.value) == std::vector<float>{-1});
}

TEST_CASE("a state of another dtype or length does not fit", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set("sgd", {{"learning_rate", 1}, {"momentum", 0.5}}).ok());
  Part part{Floats({0, 0}), nullptr};
  part.Update(updater, {1, 1});
  part.value = Floats({0, 0, 0, 0});
  part.Update(updater, {1, 1, 1, 1});
  CHECK(Values(*part.value) == std::vector<float>{-1, -1, -1, -1});
  CHECK(part.state->bytes() == 16);
  const auto updated =
      updater.Update(17, DType::kFloat64, *Floats({0, 0, 0, 0}), Floats({0, 0, 0, 0}), &part.state);
  REQUIRE(updated.ok());
  CHECK(part.state->dtype == DType::kFloat64);
}

TEST_CASE("a refused rule leaves the old one in force", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set("test", {{"rescale_grad", 2}}).ok());
  CHECK(updater.Set("sgd", {{"learning_rate", -1}}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(updater.name() == "test");
  CHECK(updater.parameters() == UpdaterParameters{{"rescale_grad", 2}});
  Part part{Floats({1}), nullptr};
  part.Update(updater, {3});
  CHECK(Values(*part.value) == std::vector<float>{7});
}

TEST_CASE("an update that fails changes neither the value nor the state", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set("sgd", {{"learning_rate", 1}, {"momentum", 0.5}}).ok());
  Part part{Floats({0}), nullptr};
  part.Update(updater, {1});
  const UpdaterState* before = part.state.get();
  const auto failed = updater.Update(17, DType::kInt32, *part.value, Floats({1}), &part.state);
  CHECK(failed.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(part.state.get() == before);
  CHECK(Values(*part.state->tensors[0]) == std::vector<float>{-1});
  CHECK(Values(*part.value) == std::vector<float>{-1});
  std::unique_ptr<UpdaterState> none;
  CHECK(!updater.Update(17, DType::kInt32, *part.value, Floats({1}), &none).ok());
  CHECK(none == nullptr);
}

TEST_CASE("a run of elements is updated where it lies, with the bits of a part", "[updater]") {
  for (const std::string& name : UpdaterNames()) {
    CAPTURE(name);
    PartUpdater updater;
    REQUIRE(updater.Set(name, {}).ok());
    Part part{Floats({1, 2, 3, 4, 5}), nullptr};
    const MutableBufferPtr value = Floats({1, 2, 3, 4, 5});
    std::vector<MutableBufferPtr> tensors;
    std::vector<void*> heads, tails;
    for (size_t i = 0; i < updater.LayoutFor(DType::kFloat32).names.size(); ++i) {
      tensors.push_back(Floats({0, 0, 0, 0, 0}));
      heads.push_back(tensors.back()->data());
      tails.push_back(tensors.back()->data() + 2 * sizeof(float));
    }
    for (const uint64_t update : {1, 2, 3}) {
      part.Update(updater, {0.5f, -1, 2, 0.25f, -3});
      const MutableBufferPtr sum = Floats({0.5f, -1, 2, 0.25f, -3});
      updater.UpdateRun(17, DType::kFloat32, update, 2, value->data(), sum->data(), heads.data());
      updater.UpdateRun(17, DType::kFloat32, update, 3, value->data() + 2 * sizeof(float),
                        sum->data() + 2 * sizeof(float), tails.data());
      CHECK(Values(*value) == Values(*part.value));
    }
  }
}

TEST_CASE("an empty part is updated to an empty part", "[updater]") {
  for (const std::string& name : UpdaterNames()) {
    CAPTURE(name);
    PartUpdater updater;
    REQUIRE(updater.Set(name, {}).ok());
    Part part{Floats({}), nullptr};
    part.Update(updater, {});
    CHECK(part.value->size() == 0);
  }
}

}  // namespace kvstore
