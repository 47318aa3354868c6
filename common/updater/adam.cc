#include "common/updater/adam.h"

#include <cmath>

#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

// Computed by squaring: by products alone, so that every C library gives the same bits.
double Power(double base, uint64_t exponent) {
  double power = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) power *= base;
    base *= base;
  }
  return power;
}

class AdamUpdater final : public Updater {
 public:
  AdamUpdater(const AdamNumbers& numbers, bool multi_precision)
      : numbers_(numbers), multi_precision_(multi_precision) {}
  std::string_view name() const override { return "adam"; }
  std::vector<std::string> StateNames() const override { return {"mean", "var"}; }
  bool multi_precision() const override { return multi_precision_; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    AdamNumbers numbers = ForKey(numbers_, run);
    const double correction2 = 1 - Power(numbers.beta2, run.update);
    const double correction1 = 1 - Power(numbers.beta1, run.update);
    numbers.learning_rate *= std::sqrt(correction2) / correction1;
    Adam(run.dtype, numbers, value, state[0], state[1], sum, run.elements);
  }

 private:
  const AdamNumbers numbers_;
  const bool multi_precision_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeAdam(const UpdaterParameters& parameters) {
  ParameterReader reader("adam", parameters);
  AdamNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.001, 0.001);
  numbers.beta1 = reader.WithDefault("beta1", 0.9, NumberRange::kShare);
  numbers.beta2 = reader.WithDefault("beta2", 0.999, NumberRange::kShare);
  numbers.epsilon = reader.WithDefault("epsilon", 1e-8, NumberRange::kPositive);
  const bool multi_precision = reader.Flag("multi_precision", false);
  reader.LazyUpdate();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<AdamUpdater>(numbers, multi_precision);
}

}  // namespace kvstore
