#include "common/updater/adagrad.h"

#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class AdagradUpdater final : public Updater {
 public:
  AdagradUpdater(const AdagradNumbers& numbers, bool multi_precision)
      : numbers_(numbers), multi_precision_(multi_precision) {}
  std::string_view name() const override { return "adagrad"; }
  std::vector<std::string> StateNames() const override { return {"history"}; }
  bool multi_precision() const override { return multi_precision_; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    Adagrad(run.dtype, ForKey(numbers_, run), value, state[0], sum, run.elements);
  }

 private:
  const AdagradNumbers numbers_;
  const bool multi_precision_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeAdagrad(const UpdaterParameters& parameters) {
  ParameterReader reader("adagrad", parameters);
  AdagradNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.01, 0.01);
  numbers.epsilon =
      reader.WithDefault("epsilon", numbers.mxnet1 ? 1e-7 : 1e-6, NumberRange::kPositive);
  const bool multi_precision = reader.Flag("multi_precision", false);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<AdagradUpdater>(numbers, multi_precision);
}

}  // namespace kvstore
