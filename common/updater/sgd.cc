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
  absl::Status Update(const UpdaterPart& part, const void* value, void* sum,
                      UpdaterState* state) const override {
    KVS_RETURN_IF_ERROR(CheckFloatDType(*this, part));
    if (numbers_.momentum == 0) {
      Sgd(part.dtype, numbers_, value, sum, part.elements);
    } else {
      SgdMomentum(part.dtype, numbers_, value, state->tensors[0]->data(), sum, part.elements);
    }
    return absl::OkStatus();
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
