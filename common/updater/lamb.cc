#include "common/updater/lamb.h"

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
enum : size_t { kWeight, kStep };

class LambUpdater final : public Updater {
 public:
  LambUpdater(const LambNumbers& numbers, const NormBounds& bounds, bool bias_correction,
              const UpdaterOptions& options)
      : Updater(options), numbers_(numbers), bounds_(bounds), bias_correction_(bias_correction) {}
  std::string_view name() const override { return "lamb"; }
  std::vector<std::string> StateNames() const override { return {"mean", "var"}; }
  bool keeps_wide_state() const override { return true; }
  bool updates_all_rows() const override { return true; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  size_t Measurings(std::string_view) const override { return 1; }

  void Measure(size_t /*step*/, const UpdaterRun& run, const void* value, const void* sum,
               void* const* state, NormMeasure* measure) const override {
    double along[kMeasuredMax];
    std::memcpy(along, sum, run.elements * DTypeBytes(run.dtype));
    UpdateWeights(run.dtype, LambStepNumbers{NumbersOf(run)}, value, state, along, run.elements);
    (*measure)[kWeight].Add(run.dtype, value, run.elements);
    (*measure)[kStep].Add(run.dtype, along, run.elements);
  }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    LambNumbers numbers = NumbersOf(run);
    numbers.rate = run.learning_rate *
                   bounds_.TrustRatio(run.norms.squares[kWeight], run.norms.squares[kStep]);
    UpdateWeights(run.dtype, numbers, value, state, sum, run.elements);
  }

 private:
  LambNumbers NumbersOf(const UpdaterRun& run) const {
    LambNumbers numbers = numbers_;
    numbers.wd = run.wd;
    if (bias_correction_) {
      numbers.power1 = Power(RoundedTo(run.dtype, numbers.beta1), run.update);
      numbers.power2 = Power(RoundedTo(run.dtype, numbers.beta2), run.update);
    }
    return numbers;
  }

  const LambNumbers numbers_;
  const NormBounds bounds_;
  const bool bias_correction_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeLamb(const UpdaterParameters& parameters) {
  ParameterReader reader("lamb", parameters);
  LambNumbers numbers;
  static_cast<AdamNumbers&>(numbers) = reader.Means(0.001, 0.001, 0.9, 1e-6);
  const NormBounds bounds = NormBounds::Of(&reader);
  const bool bias_correction = reader.Flag("bias_correction", true);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<LambUpdater>(numbers, bounds, bias_correction, options);
}

}  // namespace kvstore
