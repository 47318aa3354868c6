#include "common/updater/ftrl.h"

#include <cstring>

#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class FtrlUpdater final : public Updater {
 public:
  FtrlUpdater(const FtrlNumbers& numbers, bool multi_precision)
      : numbers_(numbers), multi_precision_(multi_precision) {}
  std::string_view name() const override { return "ftrl"; }
  std::vector<std::string> StateNames() const override { return {"z", "n"}; }
  bool multi_precision() const override { return multi_precision_; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    const FtrlNumbers numbers = ForKey(numbers_, run);
    if (static_cast<float>(numbers.learning_rate) == 0) {
      if (run.elements > 0) std::memcpy(sum, value, run.elements * DTypeBytes(run.dtype));
      return;
    }
    Ftrl(run.dtype, numbers, value, state[0], state[1], sum, run.elements);
  }

 private:
  const FtrlNumbers numbers_;
  const bool multi_precision_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeFtrl(const UpdaterParameters& parameters) {
  ParameterReader reader("ftrl", parameters);
  FtrlNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.1, 0.1, NumberRange::kPositive);
  numbers.lamda1 = reader.WithDefault("lamda1", 0.01, NumberRange::kNotNegative);
  numbers.beta = reader.WithDefault("beta", 1, NumberRange::kNotNegative);
  const bool multi_precision = reader.Flag("multi_precision", false);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<FtrlUpdater>(numbers, multi_precision);
}

}  // namespace kvstore
