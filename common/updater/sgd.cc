#include "common/updater/sgd.h"

#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class SgdUpdater final : public Updater {
 public:
  SgdUpdater(const SgdNumbers& numbers, bool multi_precision)
      : numbers_(numbers), multi_precision_(multi_precision) {}
  std::string_view name() const override { return "sgd"; }
  std::vector<std::string> StateNames() const override {
    if (numbers_.momentum == 0) return {};
    return {"momentum"};
  }
  bool multi_precision() const override { return multi_precision_; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    const SgdNumbers numbers = ForKey(numbers_, run);
    if (numbers.momentum == 0) {
      Sgd(run.dtype, numbers, value, sum, run.elements);
    } else {
      SgdMomentum(run.dtype, numbers, value, state[0], sum, run.elements);
    }
  }

 private:
  const SgdNumbers numbers_;
  const bool multi_precision_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeSgd(const UpdaterParameters& parameters) {
  ParameterReader reader("sgd", parameters);
  SgdNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.1, 0.01);
  numbers.momentum = reader.WithDefault("momentum", 0, NumberRange::kNotNegative);
  const bool multi_precision = reader.Flag("multi_precision", false);
  reader.LazyUpdate();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<SgdUpdater>(numbers, multi_precision);
}

}  // namespace kvstore
