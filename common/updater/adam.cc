#include "common/updater/adam.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeAdam(const UpdaterParameters& parameters) {
  ParameterReader reader("adam", parameters);
  const AdamNumbers numbers = reader.Means(0.001, 0.001, 0.9, 1e-8);
  const UpdaterOptions options = reader.OptionsOfRows();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<FormulaUpdater<AdamNumbers>>(
      "adam", std::vector<std::string>{"mean", "var"}, numbers, options, CorrectBias<AdamNumbers>);
}

}  // namespace kvstore
