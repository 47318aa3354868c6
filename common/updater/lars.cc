#include "common/updater/lars.h"

#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/kernels/updates.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

// Which sum of NormSums is what.
enum : size_t { kWeight, kGradient };

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// `Numbers`: sgd's, with or without momentum.
template <typename Numbers>
class LarsUpdater final : public Updater {
 public:
  LarsUpdater(std::vector<std::string> state_names, const Numbers& numbers, double eta,
              double epsilon, const UpdaterOptions& options)
      : Updater(options),
        state_names_(std::move(state_names)),
        numbers_(numbers),
        eta_(eta),
        epsilon_(epsilon) {}
  std::string_view name() const override { return "lars"; }
  std::vector<std::string> StateNames() const override { return state_names_; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  size_t Measurings(std::string_view key_name) const override {
    const bool plain =
        EndsWith(key_name, "gamma") || EndsWith(key_name, "beta") || EndsWith(key_name, "bias");
    return plain ? 0 : 1;
  }

  void Measure(size_t /*step*/, const UpdaterRun& run, const void* value, const void* sum,
               void* const* /*state*/, NormMeasure* measure) const override {
    (*measure)[kWeight].Add(run.dtype, value, run.elements);
    (*measure)[kGradient].Add(run.dtype, sum, run.elements);
  }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    Numbers numbers = numbers_;
    numbers.wd = run.wd;
    numbers.learning_rate = run.learning_rate;
    const double weight = std::sqrt(run.norms.squares[kWeight]);
    const double gradient =
        std::abs(numbers.rescale_grad) * std::sqrt(run.norms.squares[kGradient]);
    if (weight > 0 && gradient > 0) {
      numbers.learning_rate *= eta_ * weight / (gradient + run.wd * weight + epsilon_);
    }
    UpdateWeights(run.dtype, numbers, value, state, sum, run.elements);
  }

 private:
  const std::vector<std::string> state_names_;
  const Numbers numbers_;
  const double eta_;
  const double epsilon_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeLars(const UpdaterParameters& parameters) {
  ParameterReader reader("lars", parameters);
  const UpdateNumbers common = reader.Common(0.1, 0.01);
  const double momentum = reader.WithDefault("momentum", 0, NumberRange::kNotNegative);
  const double eta = reader.WithDefault("eta", 0.001, NumberRange::kPositive);
  const double epsilon =
      reader.WithDefault("epsilon", common.mxnet1 ? 0 : 1e-8, NumberRange::kNotNegative);
  const UpdaterOptions options = reader.OptionsOfRows();
  KVS_RETURN_IF_ERROR(reader.Finish());
  if (momentum == 0) {
    return std::make_unique<LarsUpdater<SgdNumbers>>(std::vector<std::string>{}, SgdNumbers{common},
                                                     eta, epsilon, options);
  }
  return std::make_unique<LarsUpdater<MomentumNumbers>>(std::vector<std::string>{"momentum"},
                                                        MomentumNumbers{{common}, momentum}, eta,
                                                        epsilon, options);
}

}  // namespace kvstore
