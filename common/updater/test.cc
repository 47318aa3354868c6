#include "common/updater/test.h"

#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class TestRule final : public Updater {
 public:
  explicit TestRule(double rescale_grad) : rescale_grad_(rescale_grad) {}
  std::string_view name() const override { return "test"; }
  absl::Status Update(const UpdaterPart& part, const void* value, void* sum,
                      UpdaterState*) const override {
    KVS_RETURN_IF_ERROR(CheckFloatDType(*this, part));
    AddScaled(part.dtype, rescale_grad_, value, sum, part.elements);
    return absl::OkStatus();
  }

 private:
  const double rescale_grad_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeTest(const UpdaterParameters& parameters) {
  ParameterReader reader("test", parameters);
  const double rescale_grad = reader.WithDefault("rescale_grad", 1.0, NumberRange::kNotZero);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<TestRule>(rescale_grad);
}

}  // namespace kvstore
