// Reading a rule's numbers out of UpdaterParameters: one way to say what is known and what is
// wrong.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/updater/updater.h"

namespace kvstore {

// What a number may be. All must be finite and within the range of f32, since f32 keys round them.
enum class NumberRange {
  kNotNegative,  // >= 0
  kPositive,     // > 0, also after rounding to f32
  kNotZero,      // either sign, also after rounding to f32
};

// Usage: one call of Optional or WithDefault per known parameter, then Finish(), whose status has
// the first fault. The calls never fail by themselves, so that unknown names are told with the
// whole list of known ones.
class ParameterReader {
 public:
  // `rule` and `parameters` outlive the reader.
  ParameterReader(std::string_view rule, const UpdaterParameters& parameters)
      : rule_(rule), parameters_(parameters) {}

  double WithDefault(std::string_view parameter, double default_value, NumberRange range);
  std::optional<double> Optional(std::string_view parameter, NumberRange range);

  // Errors: INVALID_ARGUMENT as MakeUpdater says.
  absl::Status Finish() const;

 private:
  std::string_view rule_;
  const UpdaterParameters& parameters_;
  std::vector<std::string> known_;
  absl::Status first_fault_;
};

}  // namespace kvstore
