#include "common/updater/dcasgd.h"

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Updater>> MakeDcasgd(const UpdaterParameters& parameters) {
  ParameterReader reader("dcasgd", parameters);
  const UpdateNumbers common = reader.Common(0.1, 0.01);
  const double momentum = reader.WithDefault("momentum", 0, NumberRange::kNotNegative);
  const double lamda = reader.WithDefault("lamda", 0.04, NumberRange::kNotNegative);
  const bool per_worker = reader.Flag("per_worker", false);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  using Names = std::vector<std::string>;
  constexpr std::string_view kPrevious = "previous";
  if (momentum == 0 && per_worker) {
    return std::make_unique<FormulaUpdater<WorkerDcasgdNumbers>>(
        "dcasgd", Names{}, WorkerDcasgdNumbers{{common}, lamda}, options, nullptr, kPrevious);
  }
  if (per_worker) {
    return std::make_unique<FormulaUpdater<WorkerDcasgdMomentumNumbers>>(
        "dcasgd", Names{"momentum"}, WorkerDcasgdMomentumNumbers{{common}, momentum, lamda},
        options, nullptr, kPrevious);
  }
  if (momentum == 0) {
    return std::make_unique<FormulaUpdater<DcasgdNumbers>>("dcasgd", Names{"moved"},
                                                           DcasgdNumbers{{common}, lamda}, options);
  }
  return std::make_unique<FormulaUpdater<DcasgdMomentumNumbers>>(
      "dcasgd", Names{"momentum", "moved"}, DcasgdMomentumNumbers{{common}, momentum, lamda},
      options);
}

}  // namespace kvstore
