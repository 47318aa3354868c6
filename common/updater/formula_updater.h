// FormulaUpdater: an updater that is one formula of updates.h, with its numbers. Most are.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/portable_math.h"
#include "common/kernels/updates.h"
#include "common/updater/updater.h"

namespace kvstore {

// The number as arrays of `dtype` (f32 or f64) have it.
inline double RoundedTo(DType dtype, double number) {
  return dtype == DType::kFloat32 ? static_cast<float>(number) : number;
}

// Threading: as Updater.
template <typename Numbers>
class FormulaUpdater final : public Updater {
 public:
  // Makes of the numbers, which have the run's learning rate and weight decay in them, those of the
  // run: what else depends on which update it is. False: the run changes neither value nor state.
  using ForRun = std::function<bool(const UpdaterRun& run, Numbers* numbers)>;

  // `name`: of the optimizer, a literal. `state_names`: of the arrays that the formula keeps, in
  // its order. `for_run`: null if the numbers are the same in every run. `worker_state`: a literal,
  // the name of the formula's last array, if there is one for each worker.
  FormulaUpdater(std::string_view name, std::vector<std::string> state_names,
                 const Numbers& numbers, const UpdaterOptions& options, ForRun for_run = nullptr,
                 std::string_view worker_state = {})
      : Updater(options),
        name_(name),
        state_names_(std::move(state_names)),
        numbers_(numbers),
        for_run_(std::move(for_run)),
        worker_state_(worker_state) {}

  std::string_view name() const override { return name_; }
  std::vector<std::string> StateNames() const override { return state_names_; }
  std::string_view WorkerStateName() const override { return worker_state_; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  void Update(const UpdaterRun& run, const void* value, void* sum,
              void* const* state) const override {
    Numbers numbers = numbers_;
    numbers.learning_rate = run.learning_rate;
    numbers.wd = run.wd;
    if (for_run_ != nullptr && !for_run_(run, &numbers)) {
      if (run.elements > 0) std::memcpy(sum, value, run.elements * DTypeBytes(run.dtype));
      return;
    }
    UpdateWeights(run.dtype, numbers, value, state, sum, run.elements);
  }

 private:
  const std::string_view name_;
  const std::vector<std::string> state_names_;
  const Numbers numbers_;
  const ForRun for_run_;
  const std::string_view worker_state_;
};

// A ForRun: adam's correction of means that began with zero.
template <typename Numbers>
bool CorrectBias(const UpdaterRun& run, Numbers* numbers) {
  const double correction2 = 1 - Power(numbers->beta2, run.update);
  const double correction1 = 1 - Power(numbers->beta1, run.update);
  numbers->learning_rate *= std::sqrt(correction2) / correction1;
  return true;
}

// A ForRun of formulas that divide by the learning rate: where a key's factor makes it 0, the key
// stays as it is.
template <typename Numbers>
bool UnlessRateIsZero(const UpdaterRun& /*run*/, Numbers* numbers) {
  return static_cast<float>(numbers->learning_rate) != 0;
}

}  // namespace kvstore
