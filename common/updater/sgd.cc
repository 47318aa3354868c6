#include "common/updater/sgd.h"

#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class SgdRule final : public Updater {
 public:
  explicit SgdRule(const SgdNumbers& numbers) : numbers_(numbers) {}
  std::string_view name() const override { return "sgd"; }
  std::vector<std::string> StateNames() const override {
    if (numbers_.momentum == 0) return {};
    return {"momentum"};
  }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    if (numbers_.momentum == 0) {
      Sgd(run.dtype, numbers_, value, sum, run.elements);
    } else {
      SgdMomentum(run.dtype, numbers_, value, state[0], sum, run.elements);
    }
  }

 private:
  const SgdNumbers numbers_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeSgd(const UpdaterParameters& parameters) {
  ParameterReader reader("sgd", parameters);
  SgdNumbers numbers;
  numbers.learning_rate = reader.WithDefault("learning_rate", 0.1, NumberRange::kNotNegative);
  numbers.momentum = reader.WithDefault("momentum", 0.0, NumberRange::kNotNegative);
  numbers.wd = reader.WithDefault("wd", 0.0, NumberRange::kNotNegative);
  numbers.rescale_grad = reader.WithDefault("rescale_grad", 1.0, NumberRange::kNotZero);
  const auto clip = reader.Optional("clip_gradient", NumberRange::kPositive);
  numbers.clip = clip.has_value();
  numbers.clip_gradient = clip.value_or(0.0);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<SgdRule>(numbers);
}

}  // namespace kvstore
