#include "common/updater/sum.h"

#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class SumUpdater final : public Updater {
 public:
  std::string_view name() const override { return "sum"; }
  bool takes_every_dtype() const override { return true; }
  void Update(const UpdaterRun& run, const void* value, void* sum, void* const*) const override {
    Accumulate(run.dtype, sum, value, run.elements);
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeSum(const UpdaterParameters& parameters) {
  KVS_RETURN_IF_ERROR(ParameterReader("sum", parameters).Finish());
  return std::make_unique<SumUpdater>();
}

}  // namespace kvstore
