#include "common/updater/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvstore {
namespace {

bool InRange(double value, NumberRange range) {
  if (!(std::abs(value) <= std::numeric_limits<float>::max())) return false;  // also a NaN
  const float rounded = static_cast<float>(value);
  switch (range) {
    case NumberRange::kNotNegative:
      return value >= 0;
    case NumberRange::kPositive:
      return rounded > 0;
    case NumberRange::kNotZero:
      return rounded != 0;
  }
  return false;
}

std::string_view RangeText(NumberRange range) {
  switch (range) {
    case NumberRange::kNotNegative:
      return "a finite number >= 0";
    case NumberRange::kPositive:
      return "a finite number > 0";
    case NumberRange::kNotZero:
      return "a finite number other than 0";
  }
  return "a number";
}

}  // namespace

std::optional<double> ParameterReader::Optional(std::string_view parameter, NumberRange range) {
  known_.emplace_back(parameter);
  const auto it = parameters_.find(known_.back());
  if (it == parameters_.end()) return std::nullopt;
  if (!InRange(it->second, range) && first_fault_.ok()) {
    first_fault_ = absl::InvalidArgumentError(
        fmt::format("optimizer '{}': {}: {} (within f32) expected, got {}", rule_, parameter,
                    RangeText(range), it->second));
  }
  return it->second;
}

double ParameterReader::WithDefault(std::string_view parameter, double default_value,
                                    NumberRange range) {
  return Optional(parameter, range).value_or(default_value);
}

absl::Status ParameterReader::Finish() const {
  for (const auto& [name, value] : parameters_) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const std::string known =
        known_.empty() ? "no parameters" : fmt::format("{}", fmt::join(known_, ", "));
    return absl::InvalidArgumentError(fmt::format(
        "optimizer '{}': unknown parameter '{}' (= {}); expected {}", rule_, name, value, known));
  }
  return first_fault_;
}

}  // namespace kvstore
