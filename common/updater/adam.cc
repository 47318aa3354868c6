#include "common/updater/adam.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeAdam(const UpdaterParameters& parameters) {
  ParameterReader reader("adam", parameters);
  AdamNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.001, 0.001);
  numbers.beta1 = reader.WithDefault("beta1", 0.9, NumberRange::kShare);
  numbers.beta2 = reader.WithDefault("beta2", 0.999, NumberRange::kShare);
  numbers.epsilon = reader.WithDefault("epsilon", 1e-8, NumberRange::kPositive);
  const bool multi_precision = reader.Flag("multi_precision", false);
  reader.LazyUpdate();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<FormulaUpdater<AdamNumbers>>(
      "adam", std::vector<std::string>{"mean", "var"}, numbers, multi_precision,
      CorrectBias<AdamNumbers>);
}

}  // namespace kvstore
