// Reading an optimizer's numbers out of UpdaterParameters: one way to say what is known and what is
// wrong.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/kernels/kernels.h"
#include "common/updater/updater.h"

namespace kvstore {

// `numbers` with the multipliers of the run's key.
template <typename Numbers>
Numbers ForKey(const Numbers& numbers, const UpdaterRun& run) {
  Numbers scaled = numbers;
  scaled.learning_rate *= run.lr_mult;
  scaled.wd *= run.wd_mult;
  return scaled;
}

// What a number may be. All must be finite and within the range of f32, since f32 keys round them.
enum class NumberRange {
  kNotNegative,  // >= 0
  kPositive,     // > 0, also after rounding to f32
  kNotZero,      // either sign, also after rounding to f32
  kShare,        // >= 0 and below 1, also after rounding to f32
  kFlag,         // 0 or 1
};

// Whether `value` is what `range` says.
bool InRange(double value, NumberRange range);
// "a finite number >= 0 (within f32)": in messages.
std::string_view RangeText(NumberRange range);

// `name`, which a peer chose, as a message may quote it: its first 64 bytes, "..." after them if
// there are more, and '?' for what is not printable ASCII.
std::string Quotable(std::string_view name);

// Usage: one call of Optional or WithDefault per known parameter, then Finish(), whose status has
// the first fault. The calls never fail by themselves, so that unknown names are told with the
// whole list of known ones.
class ParameterReader {
 public:
  // `optimizer` (its name) and `parameters` outlive the reader.
  ParameterReader(std::string_view optimizer, const UpdaterParameters& parameters)
      : optimizer_(optimizer), parameters_(parameters) {}

  double WithDefault(std::string_view parameter, double default_value, NumberRange range);
  std::optional<double> Optional(std::string_view parameter, NumberRange range);
  bool Flag(std::string_view parameter, bool default_value) {
    return WithDefault(parameter, default_value ? 1 : 0, NumberRange::kFlag) != 0;
  }

  // mxnet1 (0), learning_rate, wd (0), rescale_grad (1), clip_gradient (absent: no clipping): what
  // optimizers with a learning rate have.
  // `learning_rate`: its default, `learning_rate_mxnet1` that of the other formula.
  UpdateNumbers Common(double learning_rate, double learning_rate_mxnet1,
                       NumberRange learning_rate_range = NumberRange::kNotNegative);
  // lazy_update, which must be 1: UNIMPLEMENTED otherwise, in Finish().
  void LazyUpdate();

  // Errors: as MakeUpdater says.
  absl::Status Finish() const;

 private:
  std::string_view optimizer_;
  const UpdaterParameters& parameters_;
  std::vector<std::string> known_;
  absl::Status first_fault_;
};

}  // namespace kvstore
