#include "common/updater/rmsprop.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeRmsprop(const UpdaterParameters& parameters) {
  ParameterReader reader("rmsprop", parameters);
  CenteredRmspropNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.001, 0.001);
  numbers.rho = reader.WithDefault("rho", 0.9, NumberRange::kShare);
  numbers.momentum = reader.WithDefault("momentum", 0.9, NumberRange::kNotNegative);
  numbers.epsilon = reader.WithDefault("epsilon", 1e-8, NumberRange::kPositive);
  const bool centered = reader.Flag("centered", false);
  const auto clip_weights = reader.Optional("clip_weights", NumberRange::kPositive);
  numbers.bounded = clip_weights.has_value();
  numbers.clip_weights = clip_weights.value_or(0);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  if (!centered) {
    return std::make_unique<FormulaUpdater<RmspropNumbers>>(
        "rmsprop", std::vector<std::string>{"var"}, numbers, options);
  }
  return std::make_unique<FormulaUpdater<CenteredRmspropNumbers>>(
      "rmsprop", std::vector<std::string>{"mean", "var", "momentum"}, numbers, options);
}

}  // namespace kvstore
