#include "common/updater/groupadagrad.h"

#include <fmt/format.h>

#include <cstring>

#include "common/base/status_macros.h"
#include "common/kernels/updates.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

double NumberAt(DType dtype, const void* number) {
  if (dtype == DType::kFloat32) {
    float narrow = 0;
    std::memcpy(&narrow, number, sizeof narrow);
    return narrow;
  }
  double wide = 0;
  std::memcpy(&wide, number, sizeof wide);
  return wide;
}

class GroupAdagradUpdater final : public Updater {
 public:
  GroupAdagradUpdater(const GroupAdagradNumbers& numbers, const UpdaterOptions& options)
      : Updater(options), numbers_(numbers) {}
  std::string_view name() const override { return "groupadagrad"; }
  std::vector<std::string> StateNames() const override { return {"history"}; }
  bool keeps_one_per_row() const override { return true; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  void BeginRow(const UpdaterRun& run, const void* sum, void* const* state) const override {
    AddMeanSquare(run.dtype, numbers_, sum, run.elements, state[0]);
  }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    GroupAdagradNumbers numbers = numbers_;
    numbers.learning_rate = run.learning_rate;
    numbers.history = NumberAt(run.dtype, state[0]);
    UpdateWeights(run.dtype, numbers, value, nullptr, sum, run.elements);
  }

 private:
  const GroupAdagradNumbers numbers_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeGroupAdagrad(const UpdaterParameters& parameters) {
  ParameterReader reader("groupadagrad", parameters);
  GroupAdagradNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) = reader.Common(0.01, 0.01);
  numbers.epsilon =
      reader.WithDefault("epsilon", numbers.mxnet1 ? 1e-5 : 1e-6, NumberRange::kPositive);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  if (numbers.wd != 0) {
    return absl::InvalidArgumentError(fmt::format(
        "optimizer 'groupadagrad': wd: 0 expected, it has no weight decay, got {}", numbers.wd));
  }
  return std::make_unique<GroupAdagradUpdater>(numbers, options);
}

}  // namespace kvstore
