// The updater of a shard or a local store: which state a part has after which change of the
// optimizer.
#include "common/updater/part_updater.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "common/kernels/cpu/half.h"
#include "common/kernels/kernels.h"
#include "common/kernels/updates.h"

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

// A part with its value and state, updated by one updater after the other.
struct Part {
  BufferPtr value;
  std::unique_ptr<UpdaterState> state;

  void Update(const PartUpdater& updater, const std::vector<float>& sum) {
    auto updated = updater.Update(17, DType::kFloat32, *value, Floats(sum), &state);
    REQUIRE(updated.ok());
    value = *updated;
  }
};

// Of the optimizers that update dense parts.
std::vector<std::string> DenseUpdaters() {
  std::vector<std::string> names = UpdaterNames();
  names.erase(std::remove(names.begin(), names.end(), "groupadagrad"), names.end());
  return names;
}

}  // namespace

TEST_CASE("without an optimizer the value becomes the sum", "[updater]") {
  const PartUpdater updater;
  CHECK(updater.config().name == "assign");
  Part part{Floats({1, 2, 3}), nullptr};
  part.Update(updater, {4, -0.0f, 6});
  CHECK(Values(*part.value) == std::vector<float>{4, -0.0f, 6});
  CHECK(part.state == nullptr);
}

TEST_CASE("assign and sum take every dtype, updaters with factors the floats", "[updater]") {
  for (const std::string& name : UpdaterNames()) {
    PartUpdater updater;
    REQUIRE(updater.Set({name, {}}).ok());
    for (int number = 1; number <= 9; ++number) {
      const auto dtype = static_cast<DType>(number);
      CAPTURE(name, DTypeName(dtype));
      const absl::Status status = updater.CheckDType(dtype);
      if (name == "assign" || name == "sum" || UpdatesCompute(AccumulatorOf(dtype))) {
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
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 0.5}, {"momentum", 0.5}}}).ok());
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
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 0.5}, {"momentum", 0.5}}}).ok());
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

TEST_CASE("other numbers of the same updater keep the state", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 0.5}, {"momentum", 0.5}}}).ok());
  Part part{Floats({0}), nullptr};
  part.Update(updater, {1});
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 0.25}, {"momentum", 1.0}}}).ok());
  part.Update(updater, {1});  // m = -0.5 - 0.25
  CHECK(Values(*part.value) == std::vector<float>{-1.25f});
}

TEST_CASE("an updater that keeps nothing drops the state, and a later one starts from zero",
          "[updater]") {
  PartUpdater updater;
  Part part{Floats({0}), nullptr};
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}}}).ok());
  part.Update(updater, {1});
  CHECK(part.state != nullptr);
  REQUIRE(updater.Set({"sum", {}}).ok());
  CHECK(part.state != nullptr);  // dropped with the next update
  part.Update(updater, {1});
  CHECK(part.state == nullptr);
  CHECK(Values(*part.value) == std::vector<float>{0});
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}}}).ok());
  part.Update(updater, {1});
  CHECK(Values(*part.value) == std::vector<float>{-1});
}

TEST_CASE("a state of another dtype or length does not fit", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}}}).ok());
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

TEST_CASE("a refused updater leaves the old one in force", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set({"test", {{"rescale_grad", 2}}}).ok());
  CHECK(updater.Set({"sgd", {{"learning_rate", -1}}}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(updater.config().name == "test");
  CHECK(updater.config().parameters == UpdaterParameters{{"rescale_grad", 2}});
  Part part{Floats({1}), nullptr};
  part.Update(updater, {3});
  CHECK(Values(*part.value) == std::vector<float>{7});
}

TEST_CASE("an update that fails changes neither the value nor the state", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}}}).ok());
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

TEST_CASE("rows are updated where they lie, with the bits of a part", "[updater]") {
  for (const std::string& name : DenseUpdaters()) {
    CAPTURE(name);
    PartUpdater updater;
    REQUIRE(updater.Set({name, {}}).ok());
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
      const int64_t rows[] = {0, 1, 2, 3, 4};
      updater.UpdateRows(17, DType::kFloat32, update, 2, 1, {rows}, value->data(), sum->data(),
                         heads.data());
      updater.UpdateRows(17, DType::kFloat32, update, 3, 1, {rows + 2},
                         value->data() + 2 * sizeof(float), sum->data() + 2 * sizeof(float),
                         tails.data());
      CHECK(Values(*value) == Values(*part.value));
    }
  }
}

namespace {

constexpr KeyId kKey = 17;

// The floats that `values` are once rounded to `dtype`, as a part of it.
MutableBufferPtr Narrowed(DType dtype, const std::vector<float>& values) {
  auto buffer = std::make_shared<Buffer>(values.size() * DTypeBytes(dtype));
  Narrow(dtype, buffer->data(), values.data(), values.size());
  return buffer;
}

std::vector<float> Widened(DType dtype, const Buffer& buffer) {
  std::vector<float> out(buffer.size() / DTypeBytes(dtype));
  Widen(dtype, out.data(), buffer.data(), out.size());
  return out;
}

}  // namespace

TEST_CASE("the multipliers of a key scale its learning rate and weight decay", "[updater]") {
  PartUpdater updater;
  const UpdaterParameters parameters = {{"learning_rate", 0.5}, {"wd", 0.25}};
  REQUIRE(updater.Set({"sgd", parameters, {{kKey, {2, 4}}, {18, {0, 1}}}}).ok());
  const auto updated = [&](KeyId key) {
    std::unique_ptr<UpdaterState> state;
    return Values(**updater.Update(key, DType::kFloat32, *Floats({8}), Floats({1}), &state))[0];
  };
  CHECK(updated(kKey) == 8 - 1 * (1 + 1 * 8));
  CHECK(updated(18) == 8);
  CHECK(updated(19) == 8 - 0.5f * (1 + 0.25f * 8));
}

TEST_CASE("a schedule's rate is that of the update, times the multiplier", "[updater][schedule]") {
  PartUpdater updater;
  REQUIRE(updater
              .Set({"sgd",
                    {{"learning_rate", 1}, {"begin_num_update", 2}},
                    {{kKey, {0.5, 1}}},
                    {"multifactor", {{"factor", 0.25}}, {3, 4}}})
              .ok());
  // Updates 3, 4 and 5: rates 1, 1/4 and 1/16, each times 1/2.
  Part part{Floats({8}), nullptr};
  part.Update(updater, {1});
  CHECK(Values(*part.value)[0] == 8 - 0.5f);
  part.Update(updater, {1});
  CHECK(Values(*part.value)[0] == 8 - 0.5f - 0.125f);
  part.Update(updater, {1});
  CHECK(Values(*part.value)[0] == 8 - 0.5f - 0.125f - 0.03125f);
  // Updates are counted although sgd remembers nothing; another optimizer of this kind goes on.
  REQUIRE(part.state != nullptr);
  CHECK(part.state->updates == 3);
  CHECK(part.state->tensors.empty());
}

TEST_CASE("begin_num_update counts updates from there on", "[updater][schedule]") {
  // The bias correction of update 11, with means that begin with zero.
  PartUpdater updater;
  REQUIRE(
      updater
          .Set({"adam",
                {{"learning_rate", 0.5}, {"beta1", 0.5}, {"beta2", 0.5}, {"begin_num_update", 10}}})
          .ok());
  Part part{Floats({0}), nullptr};
  part.Update(updater, {2});
  const double lr = 0.5 * std::sqrt(1 - std::pow(0.5, 11)) / (1 - std::pow(0.5, 11));
  const double expected = -lr * 1 / (std::sqrt(2) + 1e-8);
  // Less than ten roundings of f32.
  CHECK(Values(*part.value)[0] == Approx(expected).epsilon(1e-6));
}

TEST_CASE("a schedule needs a learning rate, and an updater's range", "[updater][schedule]") {
  PartUpdater updater;
  CHECK(updater.Set({"assign", {}, {}, {"factor", {{"step", 1}}}}).message() ==
        "optimizer 'assign': no lr_scheduler expected, there is no learning rate, got 'factor'");
  CHECK(updater
            .Set({"ftrl", {}, {}, {"factor", {{"step", 1}, {"base_lr", 0}, {"stop_factor_lr", 0}}}})
            .message() ==
        "optimizer 'ftrl': learning_rate: a finite number > 0 (within f32) expected, got 0");
  CHECK(updater.Set({"sgd", {}, {{kKey, {1e38, 1}}}, {"factor", {{"step", 1}, {"base_lr", 100}}}})
            .message() ==
        "key 17: learning_rate * lr_mult: a finite number >= 0 (within f32) expected, got 100 * "
        "1e+38");
  CHECK(updater.config().name == "assign");
}

TEST_CASE("an average divides the sum, once, before it is used", "[updater]") {
  const RoundCounts counts{3, 7};
  const auto updated = [&](const OptimizerConfig& config, DType dtype) {
    PartUpdater updater;
    REQUIRE(updater.Set(config).ok());
    std::unique_ptr<UpdaterState> state;
    const auto value = std::make_shared<Buffer>(DTypeBytes(dtype));
    std::memset(value->data(), 0, value->size());
    const auto result = updater.Update(kKey, dtype, *value, Floats({5}), &state, 0, counts);
    REQUIRE(result.ok());
    return Widened(dtype, **result)[0];
  };
  OptimizerConfig config{"assign", {}};
  CHECK(updated(config, DType::kFloat32) == 5);
  config.average = Average::kContributors;
  CHECK(updated(config, DType::kFloat32) == 5.0f / 3);
  config.average = Average::kWorkers;
  CHECK(updated(config, DType::kFloat32) == 5.0f / 7);
  // f16: the f32 quotient is rounded, once.
  CHECK(updated(config, DType::kFloat16) == ToF32(ToF16(5.0f / 7)));
  config = {"sgd", {{"learning_rate", 1}}, {}, {}, Average::kWorkers};
  CHECK(updated(config, DType::kFloat32) == -(5.0f / 7));
}

TEST_CASE("an average of ints, and one that nobody knows, is refused", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set({"sum", {}, {}, {}, Average::kWorkers}).ok());
  CHECK(updater.CheckDType(DType::kFloat64).ok());
  CHECK(updater.CheckDType(DType::kInt32).message() ==
        "optimizer 'sum': average: dtype f32, f64, f16 or bf16 expected, got i32");
  CHECK(updater.Set({"sum", {}, {}, {}, static_cast<Average>(3)}).message() ==
        "optimizer 'sum': average: 0 (none), 1 (workers) or 2 (contributors) expected, got 3");
}

TEST_CASE("multipliers out of their range are refused and the old updater stays", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set({"test", {}}).ok());
  for (const double factor : {-1.0, std::nan(""), HUGE_VAL, 1e39}) {
    CAPTURE(factor);
    CHECK(updater.Set({"sgd", {}, {{kKey, {factor, 1}}}}).code() ==
          absl::StatusCode::kInvalidArgument);
    CHECK(updater.Set({"sgd", {}, {{kKey, {1, factor}}}}).code() ==
          absl::StatusCode::kInvalidArgument);
  }
  CHECK(updater.Set({"sgd", {}, {{kKey, {1, -2}}}}).message() ==
        "key 17: wd_mult: a finite number >= 0 (within f32) expected, got -2");
  CHECK(updater.config().name == "test");
}

TEST_CASE("a multiplier whose product is beyond f32 is refused and the old updater stays",
          "[updater]") {
  std::vector<std::string> learning = DenseUpdaters();
  learning.erase(learning.begin(), learning.begin() + 3);  // assign, sum, test
  const std::string optimizer = GENERATE_COPY(from_range(learning));
  CAPTURE(optimizer);
  const UpdaterParameters parameters = {{"learning_rate", 3e38}, {"wd", 1e38}};
  PartUpdater updater;
  REQUIRE(updater.Set({"test", {}}).ok());
  CHECK(updater.Set({optimizer, parameters, {{kKey, {100, 1}}}}) ==
        absl::InvalidArgumentError("key 17: learning_rate * lr_mult: a finite number >= 0 (within "
                                   "f32) expected, got 3e+38 * 100"));
  CHECK(updater.Set({optimizer, parameters, {{kKey, {1, 4}}}}) ==
        absl::InvalidArgumentError("key 17: wd * wd_mult: a finite number >= 0 (within f32) "
                                   "expected, got 1e+38 * 4"));
  CHECK(updater.config().name == "test");
  CHECK(updater.Set({optimizer, parameters, {{kKey, {1, 3}}}}).ok());
  // An updater without these numbers has no products.
  CHECK(updater.Set({"test", {}, {{kKey, {3e38, 3e38}}}}).ok());
}

TEST_CASE("a multiplier of 0 leaves the key of ftrl and ftml as it is", "[updater]") {
  const auto name = GENERATE(as<std::string>(), "ftrl", "ftml");
  CAPTURE(name);
  PartUpdater updater;
  REQUIRE(updater.Set({name, {}, {{kKey, {0, 1}}}}).ok());
  Part part{Floats({5, -3}), nullptr};
  part.Update(updater, {1, 2});
  CHECK(Values(*part.value) == std::vector<float>{5, -3});
  for (const MutableBufferPtr& tensor : part.state->tensors) {
    CHECK(Values(*tensor) == std::vector<float>{0, 0});
  }
  REQUIRE(updater.Set({name, {}}).ok());
  part.Update(updater, {1, 2});
  CHECK(Values(*part.value) != std::vector<float>{5, -3});
}

TEST_CASE("adam counts the updates of a part, from the state's beginning", "[updater]") {
  // With a gradient of 1 every step of adam is the learning rate, whatever the number of updates;
  // without the correction the first would be 1 / sqrt(1000) times (1 - 0.9) of it.
  PartUpdater updater;
  REQUIRE(updater.Set({"adam", {{"learning_rate", 0.5}, {"epsilon", 1e-30}}}).ok());
  Part part{Floats({0}), nullptr};
  for (int update = 1; update <= 100; ++update) {
    CAPTURE(update);
    part.Update(updater, {1});
    CHECK(part.state->updates == static_cast<uint64_t>(update));
    CHECK(Values(*part.value)[0] == Approx(-0.5 * update).epsilon(1e-4));
  }
}

TEST_CASE("multi_precision keeps what 16 bits cannot hold", "[updater]") {
  const auto dtype = GENERATE(DType::kFloat16, DType::kBFloat16);
  // A step of 2^-12 is lost on a value of 1 in either dtype; 64 of them are 2^-6.
  PartUpdater updater;
  const auto run = [&](bool multi_precision) {
    REQUIRE(
        updater.Set({"sgd", {{"learning_rate", 1}, {"multi_precision", multi_precision ? 1 : 0}}})
            .ok());
    BufferPtr value = Narrowed(dtype, {1, -1});
    std::unique_ptr<UpdaterState> state;
    for (int update = 0; update < 64; ++update) {
      auto updated = updater.Update(kKey, dtype, *value, Floats({-0x1p-12f, 0x1p-12f}), &state);
      REQUIRE(updated.ok());
      value = *updated;
    }
    CHECK((state != nullptr) == multi_precision);
    if (multi_precision) {
      CHECK(state->names == std::vector<std::string>{"master"});
      CHECK(state->dtype == DType::kFloat32);
      CHECK(state->bytes() == 8);
    }
    return Widened(dtype, *value);
  };
  CHECK(run(false) == std::vector<float>{1, -1});
  CHECK(run(true) == std::vector<float>{1 + 0x1p-6f, -1 - 0x1p-6f});
}

TEST_CASE("a master is taken from the value where the value came from elsewhere", "[updater]") {
  PartUpdater updater;
  const DType dtype = DType::kBFloat16;
  REQUIRE(updater.Set({"sgd", {{"learning_rate", 1}, {"multi_precision", 1}}}).ok());
  std::unique_ptr<UpdaterState> state;
  const BufferPtr first = *updater.Update(kKey, dtype, *Narrowed(dtype, {1, 1}),
                                          Floats({-0x1p-12f, -0x1p-12f}), &state);
  CHECK(Values(*state->tensors[0]) == std::vector<float>{1 + 0x1p-12f, 1 + 0x1p-12f});
  // The first element is as it was left, the second is another one now.
  REQUIRE(Widened(dtype, *first)[0] == 1);
  const BufferPtr second = *updater.Update(kKey, dtype, *Narrowed(dtype, {1, 3}),
                                           Floats({-0x1p-12f, -0x1p-12f}), &state);
  CHECK(Values(*state->tensors[0]) == std::vector<float>{1 + 0x1p-11f, 3 + 0x1p-12f});
  CHECK(Widened(dtype, *second) == std::vector<float>{1, 3});
}

TEST_CASE("multi_precision changes nothing for f32 and f64", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set({"adam", {{"multi_precision", 1}}}).ok());
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const StateLayout layout = updater.LayoutFor(dtype);
    CHECK(layout.names == std::vector<std::string>{"mean", "var"});
    CHECK(layout.dtype == dtype);
  }
  CHECK(updater.LayoutFor(DType::kFloat16).names ==
        std::vector<std::string>{"master", "mean", "var"});
  CHECK(updater.LayoutFor(DType::kFloat16).dtype == DType::kFloat32);
}

TEST_CASE("parts of every float are updated as their elements are one by one", "[updater]") {
  // More elements than are converted at once.
  constexpr size_t kElements = 2500;
  const bool multi_precision = GENERATE(false, true);
  for (const std::string& name : DenseUpdaters()) {
    if (multi_precision && (name == "assign" || name == "sum" || name == "test")) continue;
    for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      CAPTURE(name, DTypeName(dtype), multi_precision);
      PartUpdater updater;
      REQUIRE(updater
                  .Set({name, multi_precision ? UpdaterParameters{{"multi_precision", 1}}
                                              : UpdaterParameters{}})
                  .ok());
      std::vector<float> numbers(kElements), sums(kElements);
      for (size_t i = 0; i < kElements; ++i) {
        numbers[i] = std::sin(static_cast<float>(i));
        sums[i] = std::cos(static_cast<float>(3 * i));
      }
      const auto bytes_of = [&](float number) {
        auto one = std::make_shared<Buffer>(DTypeBytes(dtype));
        Narrow(dtype, one->data(), &number, 1);
        return one;
      };
      auto part = std::make_shared<Buffer>(kElements * DTypeBytes(dtype));
      Narrow(dtype, part->data(), numbers.data(), kElements);
      std::unique_ptr<UpdaterState> state;
      BufferPtr value = part;
      for (int round = 0; round < 2; ++round) {
        value = *updater.Update(kKey, dtype, *value, Floats(sums), &state);
      }
      for (size_t i = 0; i < kElements; i += 7) {
        std::unique_ptr<UpdaterState> own;
        BufferPtr element = bytes_of(numbers[i]);
        for (int round = 0; round < 2; ++round) {
          element = *updater.Update(kKey, dtype, *element, Floats({sums[i]}), &own, i);
        }
        REQUIRE(std::memcmp(element->data(), value->data() + i * DTypeBytes(dtype),
                            DTypeBytes(dtype)) == 0);
      }
    }
  }
}

TEST_CASE("groupadagrad refuses a dense part and keeps one number for each row", "[updater]") {
  PartUpdater updater;
  REQUIRE(updater.Set({"groupadagrad", {{"learning_rate", 1}}}).ok());
  std::unique_ptr<UpdaterState> none;
  const auto refused = updater.Update(kKey, DType::kFloat32, *Floats({1}), Floats({1}), &none);
  CHECK(refused.status() ==
        absl::InvalidArgumentError(
            "optimizer 'groupadagrad': a row_sparse key expected, got a dense one"));
  CHECK(none == nullptr);
  const StateLayout layout = updater.LayoutFor(DType::kFloat32);
  REQUIRE(layout.one_per_row);
  CHECK(layout.RowElements(0, 5) == 1);
  // Two rows of two elements: mean squares of 12.5 and 0; the second stays as it is.
  const MutableBufferPtr value = Floats({1, 2, 3, 4}), sum = Floats({3, 4, 0, 0});
  const MutableBufferPtr history = Floats({0, 0});
  void* const state[] = {history->data()};
  const int64_t rows[] = {0, 1};
  updater.UpdateRows(kKey, DType::kFloat32, 1, 2, 2, {rows}, value->data(), sum->data(), state);
  CHECK(Values(*history) == std::vector<float>{12.5f, 0});
  const float root = std::sqrt(12.5f) + 1e-6f;
  CHECK(Values(*value) == std::vector<float>{1 - 3 / root, 2 - 4 / root, 3, 4});
}

TEST_CASE("rows longer than what is converted at once are updated as a whole", "[updater]") {
  // groupadagrad's mean is one of all 2500 elements, in 16 bits too: every element has the step
  // that it has in f32, but for the roundings of the value and of the one number that is kept.
  constexpr size_t kElements = 2500;
  const auto dtype = GENERATE(DType::kFloat16, DType::kBFloat16);
  const bool multi_precision = GENERATE(false, true);
  PartUpdater updater;
  REQUIRE(
      updater.Set({"groupadagrad", {{"learning_rate", 1}, {"multi_precision", multi_precision}}})
          .ok());
  // Sums of 0.5 and 1.5 in halves of the row, which every dtype has: the mean square is 1.25.
  std::vector<float> sums(kElements, 0.5f);
  std::fill(sums.begin() + kElements / 2, sums.end(), 1.5f);
  const MutableBufferPtr value = Narrowed(dtype, std::vector<float>(kElements, 2));
  const MutableBufferPtr sum = Floats(sums);
  const MutableBufferPtr master = Floats(std::vector<float>(kElements, 2));
  const MutableBufferPtr history = multi_precision ? Floats({0}) : Narrowed(dtype, {0});
  std::vector<void*> state = {history->data()};
  if (multi_precision) state.insert(state.begin(), master->data());
  const int64_t row = 3;
  updater.UpdateRows(kKey, dtype, 1, 1, kElements, {&row}, value->data(), sum->data(),
                     state.data());
  CHECK((multi_precision ? Values(*history) : Widened(dtype, *history))[0] == 1.25f);
  std::vector<float> expected(kElements);
  for (size_t i = 0; i < kElements; ++i) {
    expected[i] = 2 - sums[i] / (std::sqrt(1.25f) + 1e-6f);
  }
  CHECK(Widened(dtype, *value) == Widened(dtype, *Narrowed(dtype, expected)));
  if (multi_precision) CHECK(Values(*master) == expected);
}

TEST_CASE("sgld's noise is of the element, the update, the key and the seed", "[updater]") {
  // With a gradient and weights of 0 a value is its noise; the deviation is sqrt(0.25).
  const auto noise = [](double seed, KeyId key, uint64_t first, size_t elements, int updates) {
    PartUpdater updater;
    REQUIRE(updater.Set({"sgld", {{"learning_rate", 0.25}, {"seed", seed}}}).ok());
    std::unique_ptr<UpdaterState> state;
    const std::vector<float> zeros(elements);
    std::vector<float> last;
    for (int update = 0; update < updates; ++update) {
      last = Values(
          **updater.Update(key, DType::kFloat32, *Floats(zeros), Floats(zeros), &state, first));
    }
    CHECK(state->updates == static_cast<uint64_t>(updates));
    CHECK(state->tensors.empty());
    return last;
  };
  const std::vector<float> whole = noise(1, kKey, 0, 1500, 1);
  CHECK(noise(1, kKey, 0, 1500, 1) == whole);
  // A part has its elements' share of the whole, however it is cut.
  CHECK(noise(1, kKey, 700, 800, 1) == std::vector<float>(whole.begin() + 700, whole.end()));
  for (const std::vector<float>& other :
       {noise(2, kKey, 0, 1500, 1), noise(1, 18, 0, 1500, 1), noise(1, kKey, 0, 1500, 2)}) {
    size_t same = 0;
    for (size_t i = 0; i < whole.size(); ++i) same += other[i] == whole[i] ? 1 : 0;
    CHECK(same < 3);
  }
}

TEST_CASE("an empty part is updated to an empty part", "[updater]") {
  for (const std::string& name : DenseUpdaters()) {
    CAPTURE(name);
    PartUpdater updater;
    REQUIRE(updater.Set({name, {}}).ok());
    Part part{Floats({}), nullptr};
    part.Update(updater, {});
    CHECK(part.value->size() == 0);
  }
}

}  // namespace kvstore
