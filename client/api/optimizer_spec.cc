#include "client/api/optimizer_spec.h"

#include <fmt/format.h>

#include "common/base/status_macros.h"
#include "common/updater/part_updater.h"

namespace kvstore {

static_assert(static_cast<Average>(OptimizerSpec::Average::kNone) == Average::kNone);
static_assert(static_cast<Average>(OptimizerSpec::Average::kWorkers) == Average::kWorkers);
static_assert(static_cast<Average>(OptimizerSpec::Average::kContributors) ==
              Average::kContributors);

absl::StatusOr<OptimizerConfig> OptimizerConfigOf(const OptimizerSpec& spec, const KeyTable& keys) {
  const size_t named = spec.int_multipliers.size() + spec.string_multipliers.size();
  if (named > kMultipliersMax) {
    return absl::InvalidArgumentError(fmt::format(
        "SetOptimizer: multipliers of at most {} keys expected, got {}", kMultipliersMax, named));
  }
  if (!spec.int_multipliers.empty() && !spec.string_multipliers.empty()) {
    return absl::InvalidArgumentError(
        "SetOptimizer: multipliers of int keys or of string keys expected, got both");
  }
  OptimizerConfig config;
  config.name = spec.name;
  config.parameters = spec.parameters;
  config.schedule = {spec.lr_scheduler.name, spec.lr_scheduler.parameters, spec.lr_scheduler.steps};
  config.average = static_cast<Average>(spec.average);
  KVS_ASSIGN_OR_RETURN(const Optimizer optimizer, MakeOptimizer(config));
  const auto add = [&](const KeyName& name, const OptimizerSpec::Multipliers& both) {
    const auto key = MakeKey(name);
    if (!key.ok()) return key.status();
    KVS_RETURN_IF_ERROR(keys.CheckKind(name));
    config.multipliers[(*key)->id] = {both.lr_mult, both.wd_mult};
    return CheckMultipliers(*optimizer.updater, (*key)->label, config.multipliers[(*key)->id]);
  };
  for (const auto& [key, both] : spec.int_multipliers) KVS_RETURN_IF_ERROR(add(key, both));
  for (const auto& [key, both] : spec.string_multipliers) KVS_RETURN_IF_ERROR(add(key, both));
  return config;
}

}  // namespace kvstore
