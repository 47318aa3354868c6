#include "common/updater/adamax.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeAdamax(const UpdaterParameters& parameters) {
  ParameterReader reader("adamax", parameters);
  AdamaxNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.002, 0.002);
  numbers.beta1 = reader.WithDefault("beta1", 0.9, NumberRange::kShare);
  numbers.beta2 = reader.WithDefault("beta2", 0.999, NumberRange::kShare);
  if (!numbers.mxnet1) {
    numbers.epsilon = reader.WithDefault("epsilon", 1e-8, NumberRange::kPositive);
  }
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<FormulaUpdater<AdamaxNumbers>>(
      "adamax", std::vector<std::string>{"mean", "size"}, numbers, options,
      [](const UpdaterRun& run, AdamaxNumbers* of_run) {
        of_run->learning_rate /= 1 - Power(of_run->beta1, run.update);
        return true;
      });
}

}  // namespace kvstore
