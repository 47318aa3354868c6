#include "common/updater/adamw.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeAdamW(const UpdaterParameters& parameters) {
  ParameterReader reader("adamw", parameters);
  AdamWNumbers numbers;
  static_cast<AdamNumbers&>(numbers) = reader.Means(0.001, 0.001, 0.9, 1e-6);
  const bool correct_bias = reader.Flag("correct_bias", true);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  using Made = FormulaUpdater<AdamWNumbers>;
  return std::make_unique<Made>("adamw", std::vector<std::string>{"mean", "var"}, numbers, options,
                                correct_bias ? Made::ForRun(CorrectBias<AdamWNumbers>) : nullptr);
}

}  // namespace kvstore
