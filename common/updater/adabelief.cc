#include "common/updater/adabelief.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeAdaBelief(const UpdaterParameters& parameters) {
  ParameterReader reader("adabelief", parameters);
  AdaBeliefNumbers numbers;
  static_cast<AdamNumbers&>(numbers) = reader.Means(0.001, 0.001, 0.9, 1e-6);
  const bool correct_bias = reader.Flag("correct_bias", true);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  using Made = FormulaUpdater<AdaBeliefNumbers>;
  return std::make_unique<Made>(
      "adabelief", std::vector<std::string>{"mean", "var"}, numbers, options,
      correct_bias ? Made::ForRun(CorrectBias<AdaBeliefNumbers>) : nullptr);
}

}  // namespace kvstore
