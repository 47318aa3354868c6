// The schedules against MXNet 1.9.1's own (tests/golden/optimizers/make_mxnet_schedules.py).
#include "common/updater/lr_schedule.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "common/base/portable_math.h"
#include "tests/common/updater/golden_file.h"

namespace kvstore {
namespace {

using testing::ReadSchedules;
using testing::ScheduleCase;

std::unique_ptr<LrSchedule> Made(const LrScheduleConfig& config,
                                 std::optional<double> learning_rate = std::nullopt) {
  auto made = LrSchedule::Make(config, learning_rate);
  REQUIRE(made.ok());
  return *std::move(made);
}

std::string Refusal(const LrScheduleConfig& config) {
  const auto made = LrSchedule::Make(config, std::nullopt);
  REQUIRE(made.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(made.status().message());
}

}  // namespace

TEST_CASE("schedules give MXNet's learning rates", "[schedule][golden]") {
  size_t cases = 0;
  for (const ScheduleCase& golden : ReadSchedules("schedules.txt")) {
    CAPTURE(golden.title);
    const auto schedule = Made(golden.schedule);
    for (const auto& [update, rate] : golden.rates) {
      CAPTURE(update, rate, schedule->At(update));
      // MXNet multiplies by the factor once for each step, at most once for each update, ours by
      // squaring: as many roundings of 2^-53. Its pow and cos are the C library's, ours are within
      // 2^-45 of the result or of base_lr, which is at most 1.
      const bool by_factor = golden.schedule.name.find("factor") != std::string::npos;
      const double bound =
          by_factor ? rate * (static_cast<double>(update) + 64) * 0x1p-53 : 0x1p-44;
      REQUIRE(std::abs(schedule->At(update) - rate) <= bound);
      REQUIRE(schedule->At(update) <= schedule->max_lr());
    }
    ++cases;
  }
  CHECK(cases == 12);
}

TEST_CASE("a schedule is a function of the update alone", "[schedule]") {
  const auto schedule = Made({"factor", {{"step", 2}, {"factor", 0.5}, {"base_lr", 1}}});
  CHECK(schedule->At(1000) == 1e-8);  // stop_factor_lr
  CHECK(schedule->At(2) == 1);
  CHECK(schedule->At(3) == 0.5);
  CHECK(schedule->At(7) == 0.125);
  CHECK(schedule->At(uint64_t{1} << 60) == 1e-8);
}

TEST_CASE("the optimizer's learning rate takes the place of base_lr", "[schedule]") {
  const LrScheduleConfig config{"multifactor", {{"factor", 0.5}, {"base_lr", 9}}, {4}};
  CHECK(Made(config)->At(1) == 9);
  CHECK(Made(config, 0.25)->At(4) == 0.25);
  CHECK(Made(config, 0.25)->At(5) == 0.125);
  CHECK(Made({"multifactor", {}, {4}})->At(1) == 0.01);
}

TEST_CASE("schedules that cannot be are refused by name", "[schedule]") {
  CHECK(Refusal({"cosin", {}}) ==
        "unknown lr_scheduler 'cosin'; expected one of factor, multifactor, poly, cosine");
  CHECK(Refusal({"factor", {}}) ==
        "lr_scheduler 'factor': step: a whole number from 1 to 2^53 expected, got none");
  CHECK(Refusal({"factor", {{"step", 0.5}}}) ==
        "lr_scheduler 'factor': step: a whole number from 1 to 2^53 expected, got 0.5");
  CHECK(
      Refusal({"factor", {{"step", 3}, {"factor", 1.5}}}) ==
      "lr_scheduler 'factor': factor: a number above 0, at most 1 (within f32) expected, got 1.5");
  CHECK(Refusal({"poly", {{"max_update", 9}, {"power", 2}}}) ==
        "lr_scheduler 'poly': unknown parameter 'power' (= 2); expected base_lr, warmup_steps, "
        "warmup_begin_lr, warmup_constant, max_update, final_lr, pwr");
  CHECK(Refusal({"cosine", {{"max_update", 9}, {"warmup_steps", 9}}}) ==
        "lr_scheduler 'cosine': max_update: more than warmup_steps, 9, expected, got 9");
  CHECK(Refusal({"cosine", {{"max_update", 9}, {"warmup_begin_lr", 0.5}}}) ==
        "lr_scheduler 'cosine': warmup_begin_lr: at most base_lr, 0.01, expected, got 0.5");
  CHECK(Refusal({"multifactor", {}}) ==
        "lr_scheduler 'multifactor': steps: 1 to 65536 of them expected, got 0");
  CHECK(Refusal({"multifactor", {}, {3, 3}}) ==
        "lr_scheduler 'multifactor': steps: an update after 3 expected, got 3");
  CHECK(Refusal({"multifactor", {}, {0}}) ==
        "lr_scheduler 'multifactor': steps: an update after 0 expected, got 0");
  CHECK(Refusal({"factor", {{"step", 3}}, {3}}) ==
        "lr_scheduler 'factor': steps: none, 'multifactor' has them, expected, got 1");
}

TEST_CASE("portable functions are the C library's, but for their last bits", "[schedule]") {
  for (int i = 0; i <= 1000; ++i) {
    const double x = i / 1000.0;
    CAPTURE(x);
    CHECK(std::abs(CosineOfPi(x) - std::cos(3.14159265358979323846 * x)) <= 0x1p-51);
    for (const double exponent : {0.25, 0.5, 0.9, 1.0, 2.0, 3.7, 41.3}) {
      CAPTURE(exponent);
      const double expected = std::pow(x, exponent);
      CHECK(std::abs(Power(x, exponent) - expected) <= expected * 0x1p-45);
    }
    if (i > 0) {
      CHECK(std::abs(Logarithm(x) - std::log(x)) <= 0x1p-51 * std::max(1 - x, -std::log(x)));
    }
  }
  CHECK(Power(0.5, 1e300) == 0);
  CHECK(Power(1.0, 1e300) == 1);
  CHECK(Power(0.0, 0.5) == 0);
}

}  // namespace kvstore
