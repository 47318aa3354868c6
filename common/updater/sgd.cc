#include "common/updater/sgd.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeSgd(const UpdaterParameters& parameters) {
  ParameterReader reader("sgd", parameters);
  const UpdateNumbers common = reader.Common(0.1, 0.01);
  const double momentum = reader.WithDefault("momentum", 0, NumberRange::kNotNegative);
  const UpdaterOptions options = reader.OptionsOfRows();
  KVS_RETURN_IF_ERROR(reader.Finish());
  if (momentum == 0) {
    return std::make_unique<FormulaUpdater<SgdNumbers>>("sgd", std::vector<std::string>{},
                                                        SgdNumbers{common}, options);
  }
  return std::make_unique<FormulaUpdater<MomentumNumbers>>(
      "sgd", std::vector<std::string>{"momentum"}, MomentumNumbers{{common}, momentum}, options);
}

}  // namespace kvstore
