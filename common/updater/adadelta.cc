#include "common/updater/adadelta.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeAdadelta(const UpdaterParameters& parameters) {
  ParameterReader reader("adadelta", parameters);
  AdadeltaNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(1, 1);
  numbers.rho = reader.WithDefault("rho", 0.9, NumberRange::kShare);
  numbers.epsilon =
      reader.WithDefault("epsilon", numbers.mxnet1 ? 1e-5 : 1e-6, NumberRange::kPositive);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<FormulaUpdater<AdadeltaNumbers>>(
      "adadelta", std::vector<std::string>{"squares", "steps"}, numbers, options);
}

}  // namespace kvstore
