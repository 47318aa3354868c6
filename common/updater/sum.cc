#include "common/updater/sum.h"

#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class SumRule final : public Updater {
 public:
  std::string_view name() const override { return "sum"; }
  absl::Status Update(const UpdaterPart& part, const void* value, void* sum,
                      UpdaterState*) const override {
    KVS_RETURN_IF_ERROR(CheckFloatDType(*this, part));
    Accumulate(part.dtype, sum, value, part.elements);
    return absl::OkStatus();
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeSum(const UpdaterParameters& parameters) {
  KVS_RETURN_IF_ERROR(ParameterReader("sum", parameters).Finish());
  return std::make_unique<SumRule>();
}

}  // namespace kvstore
