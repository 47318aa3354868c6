#include "common/updater/ftml.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeFtml(const UpdaterParameters& parameters) {
  ParameterReader reader("ftml", parameters);
  FtmlNumbers numbers;
  static_cast<AdamNumbers&>(numbers) =
      reader.Means(0.0025, 0.01, 0.6, 1e-8, NumberRange::kPositive);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<FormulaUpdater<FtmlNumbers>>(
      "ftml", std::vector<std::string>{"d", "v", "z"}, numbers, options,
      [](const UpdaterRun& run, FtmlNumbers* of_run) {
        of_run->power1 = Power(RoundedTo(run.dtype, of_run->beta1), run.update);
        of_run->power2 = Power(RoundedTo(run.dtype, of_run->beta2), run.update);
        return UnlessRateIsZero(run, of_run);
      });
}

}  // namespace kvstore
