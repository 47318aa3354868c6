// Which optimizer an update uses: the one that is set, with the numbers that are changed from steps
// on.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/kernels/updates.h"
#include "common/model/number_reader.h"
#include "common/updater/part_updater.h"

namespace kvstore {
namespace {

// Parameters that a change may not have: they decide what is kept beside values, which formula
// reads that, how updates are counted or which rows have one.
constexpr std::string_view kFixed[] = {"begin_num_update", "centered",        "lazy_update",
                                       "mxnet1",           "multi_precision", "per_worker"};

absl::Status CheckChange(std::string_view optimizer, const NumbersChange& change) {
  const auto refused = [&](const std::string& problem) {
    return absl::InvalidArgumentError(
        fmt::format("numbers of optimizer '{}' from a step on: {}", optimizer, problem));
  };
  if (change.from_step == 0) return refused("a step of at least 1 expected, got 0");
  if (change.numbers.empty()) return refused("at least one number expected, got none");
  for (const auto& [name, number] : change.numbers) {
    if (std::find(std::begin(kFixed), std::end(kFixed), name) == std::end(kFixed)) continue;
    return refused(fmt::format(
        "a number that may change while training expected, '{}' is fixed by SetOptimizer", name));
  }
  return absl::OkStatus();
}

// Whether states of the one are those of the other, too.
absl::Status CheckSameKept(const Updater& first, const Updater& changed) {
  const std::vector<std::string> expected = first.StateNames();
  const std::vector<std::string> got = changed.StateNames();
  const bool same = expected == got && first.Measurings("") == changed.Measurings("") &&
                    first.keeps_one_per_row() == changed.keeps_one_per_row() &&
                    first.keeps_wide_state() == changed.keeps_wide_state() &&
                    first.draws_noise() == changed.draws_noise();
  if (same) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "numbers of optimizer '{}' from a step on: numbers with which it keeps the same beside "
      "values expected, [{}], got some with which it keeps [{}]: that takes SetOptimizer",
      first.name(), fmt::join(expected, ", "), fmt::join(got, ", ")));
}

void Overlay(const UpdaterParameters& changed, UpdaterParameters* parameters) {
  for (const auto& [name, number] : changed) (*parameters)[name] = number;
}

}  // namespace

absl::Status CheckMultipliers(const Updater& updater, std::string_view key,
                              const KeyMultipliers& multipliers) {
  constexpr NumberRange kRange = NumberRange::kNotNegative;
  const auto check = [&](std::string_view what, double factor, std::string_view of, double number) {
    if (!InRange(factor, kRange)) {
      return absl::InvalidArgumentError(
          fmt::format("{}: {}: {} expected, got {}", key, what, RangeText(kRange), factor));
    }
    if (InRange(number * factor, kRange)) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("{}: {} * {}: {} expected, got {} * {}", key, of,
                                                  what, RangeText(kRange), number, factor));
  };
  const UpdateNumbers numbers =
      updater.numbers() != nullptr ? *updater.numbers() : UpdateNumbers{0, 1, 0};
  KVS_RETURN_IF_ERROR(
      check("lr_mult", multipliers.lr_mult, "learning_rate", numbers.learning_rate));
  return check("wd_mult", multipliers.wd_mult, "wd", numbers.wd);
}

absl::StatusOr<Optimizer> MakeOptimizer(const OptimizerConfig& config) {
  Optimizer optimizer;
  KVS_ASSIGN_OR_RETURN(optimizer.updater, MakeUpdater(config.name, config.parameters));
  if (config.average > Average::kContributors) {
    return absl::InvalidArgumentError(fmt::format(
        "optimizer '{}': average: 0 (none), 1 (workers) or 2 (contributors) expected, got {}",
        config.name, static_cast<uint32_t>(config.average)));
  }
  if (config.schedule.name.empty()) return optimizer;
  if (optimizer.updater->numbers() == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("optimizer '{}': no lr_scheduler expected, there is no learning rate, got '{}'",
                    config.name, Quotable(config.schedule.name)));
  }
  std::optional<double> learning_rate;
  if (const auto given = config.parameters.find("learning_rate");
      given != config.parameters.end()) {
    learning_rate = given->second;
  }
  KVS_ASSIGN_OR_RETURN(optimizer.schedule, LrSchedule::Make(config.schedule, learning_rate));
  UpdaterParameters parameters = config.parameters;
  parameters["learning_rate"] = optimizer.schedule->max_lr();
  KVS_ASSIGN_OR_RETURN(optimizer.updater, MakeUpdater(config.name, parameters));
  return optimizer;
}

PartUpdater::PartUpdater() { KVS_CHECK(Set({"assign", {}}).ok()); }

absl::Status PartUpdater::CheckMultipliersOf(const OptimizerConfig& config,
                                             const Updater& updater) {
  for (const auto& [key, both] : config.multipliers) {
    KVS_RETURN_IF_ERROR(
        CheckMultipliers(updater, fmt::format("key {}", static_cast<int64_t>(key)), both));
  }
  return absl::OkStatus();
}

absl::Status PartUpdater::Set(OptimizerConfig config) {
  auto version = std::make_shared<Version>();
  KVS_ASSIGN_OR_RETURN(version->optimizer, MakeOptimizer(config));
  KVS_RETURN_IF_ERROR(CheckMultipliersOf(config, *version->optimizer.updater));
  const Updater& updater = *version->optimizer.updater;
  const size_t tensors = updater.StateNames().size() + (updater.WorkerStateName().empty() ? 0 : 1);
  KVS_CHECK(tensors <= kTensorsMax);
  auto set = std::make_shared<const OptimizerConfig>(std::move(config));
  Versions versions = {std::move(version)};
  // From here on nothing is allocated.
  tensors_ = tensors;
  versions_ = std::move(versions);
  config_ = std::move(set);
  return absl::OkStatus();
}

absl::Status PartUpdater::Change(const NumbersChange& change) {
  KVS_RETURN_IF_ERROR(CheckChange(config_->name, change));
  const auto before = std::upper_bound(
      versions_.begin(), versions_.end(), change.from_step,
      [](uint64_t step, const auto& version) { return step < version->from_step; });
  // Those from `next` on are made anew, by their own changes on top of the one before.
  Versions versions(versions_.begin(), before);
  auto next = std::make_shared<Version>();
  next->from_step = change.from_step;
  if (versions.back()->from_step == change.from_step) {
    next->changed = versions.back()->changed;
    versions.pop_back();
  }
  for (const auto& [name, number] : change.numbers) next->changed[name] = number;
  OptimizerConfig config;
  config.name = config_->name;
  config.parameters = config_->parameters;
  config.schedule = config_->schedule;
  config.average = config_->average;
  for (const auto& version : versions) Overlay(version->changed, &config.parameters);
  const auto add = [&](std::shared_ptr<Version> version) {
    Overlay(version->changed, &config.parameters);
    KVS_ASSIGN_OR_RETURN(version->optimizer, MakeOptimizer(config));
    KVS_RETURN_IF_ERROR(CheckSameKept(*first().updater, *version->optimizer.updater));
    KVS_RETURN_IF_ERROR(CheckMultipliersOf(*config_, *version->optimizer.updater));
    versions.push_back(std::move(version));
    return absl::OkStatus();
  };
  KVS_RETURN_IF_ERROR(add(std::move(next)));
  for (auto later = before; later != versions_.end(); ++later) {
    auto again = std::make_shared<Version>();
    again->from_step = (*later)->from_step;
    again->changed = (*later)->changed;
    KVS_RETURN_IF_ERROR(add(std::move(again)));
  }
  if (versions.size() > NumbersChange::kStepsMax + 1) {
    return absl::ResourceExhaustedError(fmt::format(
        "optimizer '{}': changes of its numbers from at most {} steps expected, got one more: set "
        "the optimizer anew, or a schedule of its learning rate",
        config_->name, NumbersChange::kStepsMax));
  }
  versions_ = std::move(versions);
  return absl::OkStatus();
}

std::map<uint64_t, UpdaterParameters> PartUpdater::changes() const {
  std::map<uint64_t, UpdaterParameters> changes;
  for (const auto& version : versions_) {
    if (version->from_step > 0) changes.emplace(version->from_step, version->changed);
  }
  return changes;
}

const Optimizer& PartUpdater::At(uint64_t step) const {
  if (versions_.size() == 1) return first();
  const auto after = std::upper_bound(
      versions_.begin(), versions_.end(), step,
      [](uint64_t wanted, const auto& version) { return wanted < version->from_step; });
  return (*(after - 1))->optimizer;
}

}  // namespace kvstore
