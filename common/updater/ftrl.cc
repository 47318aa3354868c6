#include "common/updater/ftrl.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeFtrl(const UpdaterParameters& parameters) {
  ParameterReader reader("ftrl", parameters);
  FtrlNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.1, 0.1, NumberRange::kPositive);
  numbers.lamda1 = reader.WithDefault("lamda1", 0.01, NumberRange::kNotNegative);
  numbers.beta = reader.WithDefault("beta", 1, NumberRange::kNotNegative);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<FormulaUpdater<FtrlNumbers>>(
      "ftrl", std::vector<std::string>{"z", "n"}, numbers, options, UnlessRateIsZero<FtrlNumbers>);
}

}  // namespace kvstore
