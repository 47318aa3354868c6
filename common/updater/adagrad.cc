#include "common/updater/adagrad.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeAdagrad(const UpdaterParameters& parameters) {
  ParameterReader reader("adagrad", parameters);
  AdagradNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.01, 0.01);
  numbers.epsilon =
      reader.WithDefault("epsilon", numbers.mxnet1 ? 1e-7 : 1e-6, NumberRange::kPositive);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<FormulaUpdater<AdagradNumbers>>(
      "adagrad", std::vector<std::string>{"history"}, numbers, options);
}

}  // namespace kvstore
