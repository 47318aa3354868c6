#include "common/updater/lr_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/portable_math.h"
#include "common/base/status_macros.h"
#include "common/model/number_reader.h"

namespace kvstore {
namespace {

// base_lr * factor^k after k steps, but not below stop_factor_lr.
class FactorSchedule final : public LrSchedule {
 public:
  FactorSchedule(const Common& common, uint64_t step, double factor, double stop_factor_lr)
      : LrSchedule(common, std::max(common.base_lr, stop_factor_lr)),
        step_(step),
        factor_(factor),
        stop_factor_lr_(stop_factor_lr) {}

 private:
  double After(uint64_t update) const override {
    const uint64_t steps = (update - 1) / step_;  // step s comes after update s * step_
    if (steps == 0) return common().base_lr;
    return std::max(common().base_lr * Power(factor_, steps), stop_factor_lr_);
  }

  const uint64_t step_;
  const double factor_;
  const double stop_factor_lr_;
};

// base_lr * factor^k after k of the named updates.
class MultiFactorSchedule final : public LrSchedule {
 public:
  MultiFactorSchedule(const Common& common, std::vector<uint64_t> steps, double factor)
      : LrSchedule(common, common.base_lr), steps_(std::move(steps)), factor_(factor) {}

 private:
  double After(uint64_t update) const override {
    const auto behind = std::lower_bound(steps_.begin(), steps_.end(), update) - steps_.begin();
    return common().base_lr * Power(factor_, static_cast<uint64_t>(behind));
  }

  const std::vector<uint64_t> steps_;  // ascending
  const double factor_;
};

// From base_lr at the end of the warm-up to final_lr at update max_update, and so from there on;
// subclasses say on which curve.
class FallingSchedule : public LrSchedule {
 public:
  FallingSchedule(const Common& common, uint64_t max_update, double final_lr)
      : LrSchedule(common, std::max(common.base_lr, final_lr)),
        max_update_(max_update),
        final_lr_(final_lr) {}

 private:
  // How much of the way from final_lr to base_lr is left when the share `done`, 0 to 1, of the
  // updates is done.
  virtual double Left(double done) const = 0;

  double After(uint64_t update) const override {
    if (update >= max_update_) return final_lr_;
    const uint64_t begin = common().warmup_steps;
    const double done =
        static_cast<double>(update - begin) / static_cast<double>(max_update_ - begin);
    return final_lr_ + (common().base_lr - final_lr_) * Left(done);
  }

  const uint64_t max_update_;
  const double final_lr_;
};

class PolySchedule final : public FallingSchedule {
 public:
  PolySchedule(const Common& common, uint64_t max_update, double final_lr, double pwr)
      : FallingSchedule(common, max_update, final_lr), pwr_(pwr) {}

 private:
  double Left(double done) const override { return Power(1 - done, pwr_); }

  const double pwr_;
};

class CosineSchedule final : public FallingSchedule {
 public:
  using FallingSchedule::FallingSchedule;

 private:
  double Left(double done) const override { return (1 + CosineOfPi(done)) / 2; }
};

class ScheduleReader : public NumberReader {
 public:
  explicit ScheduleReader(const LrScheduleConfig& config)
      : NumberReader(fmt::format("lr_scheduler '{}'", Quotable(config.name)), config.parameters) {}

  // A whole number of updates; without `default_value` there must be one, from 1 on.
  uint64_t Updates(std::string_view parameter, std::optional<uint64_t> default_value) {
    const NumberRange range = default_value ? NumberRange::kWhole : NumberRange::kCount;
    const std::optional<double> number = Optional(parameter, range);
    if (!number.has_value()) {
      Expect(default_value.has_value(), parameter, RangeText(range), "none");
      return default_value.value_or(1);
    }
    return InRange(*number, range) ? static_cast<uint64_t>(*number) : 1;  // Finish() refuses it
  }
  // Unless it `holds`, or something was wrong before: `what` was expected, and `came`.
  void Expect(bool holds, std::string_view parameter, std::string_view what,
              const std::string& came) {
    if (holds) return;
    Fail(absl::InvalidArgumentError(
        fmt::format("{}: {}: {} expected, got {}", owner(), parameter, what, came)));
  }
};

using Made = absl::StatusOr<std::unique_ptr<LrSchedule>>;

Made MakeFactor(ScheduleReader& reader, const LrSchedule::Common& common,
                const LrScheduleConfig& /*config*/) {
  const uint64_t step = reader.Updates("step", std::nullopt);
  const double factor = reader.WithDefault("factor", 1, NumberRange::kFactor);
  const double stop = reader.WithDefault("stop_factor_lr", 1e-8, NumberRange::kNotNegative);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<FactorSchedule>(common, step, factor, stop);
}

Made MakeMultiFactor(ScheduleReader& reader, const LrSchedule::Common& common,
                     const LrScheduleConfig& config) {
  const double factor = reader.WithDefault("factor", 1, NumberRange::kFactor);
  const std::vector<uint64_t>& steps = config.steps;
  constexpr size_t kMost = LrScheduleConfig::kStepsMax;
  reader.Expect(!steps.empty() && steps.size() <= kMost, "steps",
                fmt::format("1 to {} of them", kMost), fmt::format("{}", steps.size()));
  for (size_t i = 0; i < std::min(steps.size(), kMost); ++i) {
    const uint64_t before = i == 0 ? 0 : steps[i - 1];
    reader.Expect(steps[i] > before, "steps", fmt::format("an update after {}", before),
                  fmt::format("{}", steps[i]));
  }
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<MultiFactorSchedule>(common, steps, factor);
}

// What falling schedules have in common.
struct Fall {
  uint64_t max_update = 1;
  double final_lr = 0;
};

Fall ReadFall(ScheduleReader& reader, const LrSchedule::Common& common) {
  const Fall fall{reader.Updates("max_update", std::nullopt),
                  reader.WithDefault("final_lr", 0, NumberRange::kNotNegative)};
  reader.Expect(fall.max_update > common.warmup_steps, "max_update",
                fmt::format("more than warmup_steps, {},", common.warmup_steps),
                fmt::format("{}", fall.max_update));
  return fall;
}

Made MakePoly(ScheduleReader& reader, const LrSchedule::Common& common,
              const LrScheduleConfig& /*config*/) {
  const Fall fall = ReadFall(reader, common);
  const double pwr = reader.WithDefault("pwr", 2, NumberRange::kPositive);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<PolySchedule>(common, fall.max_update, fall.final_lr, pwr);
}

Made MakeCosine(ScheduleReader& reader, const LrSchedule::Common& common,
                const LrScheduleConfig& /*config*/) {
  const Fall fall = ReadFall(reader, common);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<CosineSchedule>(common, fall.max_update, fall.final_lr);
}

struct Entry {
  std::string_view name;
  Made (*make)(ScheduleReader&, const LrSchedule::Common&, const LrScheduleConfig&);
};

// The list of schedules: a new one is one line here.
constexpr Entry kSchedules[] = {
    {"factor", MakeFactor},
    {"multifactor", MakeMultiFactor},
    {"poly", MakePoly},
    {"cosine", MakeCosine},
};

}  // namespace

Made LrSchedule::Make(const LrScheduleConfig& config, std::optional<double> learning_rate) {
  ScheduleReader reader(config);
  Common common;
  common.base_lr = reader.WithDefault("base_lr", common.base_lr, NumberRange::kNotNegative);
  common.base_lr = learning_rate.value_or(common.base_lr);
  common.warmup_steps = reader.Updates("warmup_steps", 0);
  common.warmup_begin_lr = reader.WithDefault("warmup_begin_lr", 0, NumberRange::kNotNegative);
  common.warmup_constant = reader.Flag("warmup_constant", false);
  reader.Expect(common.warmup_begin_lr <= common.base_lr, "warmup_begin_lr",
                fmt::format("at most base_lr, {},", common.base_lr),
                fmt::format("{}", common.warmup_begin_lr));
  std::vector<std::string_view> names;
  for (const Entry& entry : kSchedules) {
    names.push_back(entry.name);
    if (entry.name != config.name) continue;
    reader.Expect(config.steps.empty() || entry.make == MakeMultiFactor, "steps",
                  "none, 'multifactor' has them,", fmt::format("{}", config.steps.size()));
    return entry.make(reader, common, config);
  }
  return absl::InvalidArgumentError(fmt::format("unknown lr_scheduler '{}'; expected one of {}",
                                                Quotable(config.name), fmt::join(names, ", ")));
}

double LrSchedule::At(uint64_t update) const {
  if (update >= common_.warmup_steps) return After(update);
  const double begin = common_.warmup_begin_lr;
  if (common_.warmup_constant) return begin;
  return begin + (common_.base_lr - begin) * static_cast<double>(update) /
                     static_cast<double>(common_.warmup_steps);
}

}  // namespace kvstore
