#include "common/updater/lans.h"

#include <cmath>
#include <cstring>

#include "common/base/portable_math.h"
#include "common/base/status_macros.h"
#include "common/kernels/updates.h"
#include "common/updater/formula_updater.h"
#include "common/updater/norms.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

// Which sum of NormSums is what.
enum : size_t { kGradient, kWeight, kMeanStep, kGradStep };

class LansUpdater final : public Updater {
 public:
  LansUpdater(const LansNumbers& numbers, const NormBounds& bounds, const UpdaterOptions& options)
      : Updater(options), numbers_(numbers), bounds_(bounds) {}
  std::string_view name() const override { return "lans"; }
  std::vector<std::string> StateNames() const override { return {"mean", "var"}; }
  bool keeps_wide_state() const override { return true; }
  bool updates_all_rows() const override { return true; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  // The gradient's norm comes first: both steps are of gradients that are divided by it.
  size_t Measurings(std::string_view) const override { return 2; }

  void Measure(size_t step, const UpdaterRun& run, const void* value, const void* sum,
               void* const* state, NormMeasure* measure) const override {
    if (step == 0) return (*measure)[kGradient].Add(run.dtype, sum, run.elements);
    (*measure)[kWeight].Add(run.dtype, value, run.elements);
    const LansNumbers numbers = NumbersOf(run);
    AddStep(LansMeanStepNumbers{numbers}, run, value, sum, state, &(*measure)[kMeanStep]);
    AddStep(LansGradStepNumbers{numbers}, run, value, sum, state, &(*measure)[kGradStep]);
  }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    LansNumbers numbers = NumbersOf(run);
    const double weight = run.norms.squares[kWeight];
    numbers.mean_rate = run.learning_rate * numbers.beta1 *
                        bounds_.TrustRatio(weight, run.norms.squares[kMeanStep]);
    numbers.grad_rate = run.learning_rate * (1 - numbers.beta1) *
                        bounds_.TrustRatio(weight, run.norms.squares[kGradStep]);
    UpdateWeights(run.dtype, numbers, value, state, sum, run.elements);
  }

 private:
  static void AddStep(const AnyNumbers& numbers, const UpdaterRun& run, const void* value,
                      const void* sum, void* const* state, SquareSum* squares) {
    double along[kMeasuredMax];
    std::memcpy(along, sum, run.elements * DTypeBytes(run.dtype));
    UpdateWeights(run.dtype, numbers, value, state, along, run.elements);
    squares->Add(run.dtype, along, run.elements);
  }
  LansNumbers NumbersOf(const UpdaterRun& run) const {
    LansNumbers numbers = numbers_;
    numbers.wd = run.wd;
    const double norm = std::abs(numbers.rescale_grad) * std::sqrt(run.norms.squares[kGradient]);
    numbers.norm = norm == 0 ? 1 : norm;  // a gradient of zeros stays one
    numbers.power1 = Power(RoundedTo(run.dtype, numbers.beta1), run.update);
    numbers.power2 = Power(RoundedTo(run.dtype, numbers.beta2), run.update);
    return numbers;
  }

  const LansNumbers numbers_;
  const NormBounds bounds_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeLans(const UpdaterParameters& parameters) {
  ParameterReader reader("lans", parameters);
  LansNumbers numbers;
  static_cast<AdamNumbers&>(numbers) = reader.Means(0.001, 0.001, 0.9, 1e-6);
  const NormBounds bounds = NormBounds::Of(&reader);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<LansUpdater>(numbers, bounds, options);
}

}  // namespace kvstore
