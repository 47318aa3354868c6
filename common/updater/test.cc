#include "common/updater/test.h"

#include "common/base/status_macros.h"
#include "common/kernels/updates.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class TestUpdater final : public Updater {
 public:
  explicit TestUpdater(double rescale_grad) : rescale_grad_(rescale_grad) {}
  std::string_view name() const override { return "test"; }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    UpdateWeights(run.dtype, AddScaledNumbers{rescale_grad_}, value, state, sum, run.elements);
  }

 private:
  const double rescale_grad_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeTest(const UpdaterParameters& parameters) {
  ParameterReader reader("test", parameters);
  const double rescale_grad = reader.WithDefault("rescale_grad", 1.0, NumberRange::kNotZero);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<TestUpdater>(rescale_grad);
}

}  // namespace kvstore
