#include "common/updater/signum.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeSignum(const UpdaterParameters& parameters) {
  ParameterReader reader("signum", parameters);
  const UpdateNumbers common = reader.Common(0.01, 0.01);
  const double momentum = reader.WithDefault("momentum", 0.9, NumberRange::kNotNegative);
  const double wd_lh = reader.WithDefault("wd_lh", 0, NumberRange::kNotNegative);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  if (momentum == 0) {
    return std::make_unique<FormulaUpdater<SignNumbers>>("signum", std::vector<std::string>{},
                                                         SignNumbers{{common}, wd_lh}, options);
  }
  return std::make_unique<FormulaUpdater<SignumNumbers>>(
      "signum", std::vector<std::string>{"momentum"}, SignumNumbers{{common}, momentum, wd_lh},
      options);
}

}  // namespace kvstore
