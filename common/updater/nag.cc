#include "common/updater/nag.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeNag(const UpdaterParameters& parameters) {
  ParameterReader reader("nag", parameters);
  const UpdateNumbers common = reader.Common(0.1, 0.01);
  const double momentum =
      reader.WithDefault("momentum", common.mxnet1 ? 0 : 0.9, NumberRange::kNotNegative);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  if (momentum == 0) {
    return std::make_unique<FormulaUpdater<PlainNagNumbers>>("nag", std::vector<std::string>{},
                                                             PlainNagNumbers{common}, options);
  }
  return std::make_unique<FormulaUpdater<NagNumbers>>("nag", std::vector<std::string>{"momentum"},
                                                      NagNumbers{{common}, momentum}, options);
}

}  // namespace kvstore
