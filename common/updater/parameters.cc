#include "common/updater/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvstore {

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
    case NumberRange::kShare:
      return value >= 0 && rounded < 1;
    case NumberRange::kFlag:
      return value == 0 || value == 1;
  }
  return false;
}

std::string_view RangeText(NumberRange range) {
  switch (range) {
    case NumberRange::kNotNegative:
      return "a finite number >= 0 (within f32)";
    case NumberRange::kPositive:
      return "a finite number > 0 (within f32)";
    case NumberRange::kNotZero:
      return "a finite number other than 0 (within f32)";
    case NumberRange::kShare:
      return "a number from 0 on, below 1 (within f32)";
    case NumberRange::kFlag:
      return "0 or 1";
  }
  return "a number";
}

std::string Quotable(std::string_view name) {
  constexpr size_t kQuotedMax = 64;
  std::string quoted;
  for (const char c : name.substr(0, kQuotedMax)) quoted += c >= ' ' && c <= '~' ? c : '?';
  if (name.size() > kQuotedMax) quoted += "...";
  return quoted;
}

std::optional<double> ParameterReader::Optional(std::string_view parameter, NumberRange range) {
  known_.emplace_back(parameter);
  const auto it = parameters_.find(known_.back());
  if (it == parameters_.end()) return std::nullopt;
  if (!InRange(it->second, range) && first_fault_.ok()) {
    first_fault_ = absl::InvalidArgumentError(fmt::format("optimizer '{}': {}: {} expected, got {}",
                                                          optimizer_, parameter, RangeText(range),
                                                          it->second));
  }
  return it->second;
}

double ParameterReader::WithDefault(std::string_view parameter, double default_value,
                                    NumberRange range) {
  return Optional(parameter, range).value_or(default_value);
}

UpdateNumbers ParameterReader::Common(double learning_rate, double learning_rate_mxnet1,
                                      NumberRange learning_rate_range) {
  UpdateNumbers numbers;
  numbers.mxnet1 = Flag("mxnet1", false);
  numbers.learning_rate = WithDefault(
      "learning_rate", numbers.mxnet1 ? learning_rate_mxnet1 : learning_rate, learning_rate_range);
  numbers.wd = WithDefault("wd", 0, NumberRange::kNotNegative);
  numbers.rescale_grad = WithDefault("rescale_grad", 1, NumberRange::kNotZero);
  const auto clip = Optional("clip_gradient", NumberRange::kPositive);
  numbers.clip = clip.has_value();
  numbers.clip_gradient = clip.value_or(0);
  return numbers;
}

void ParameterReader::LazyUpdate() {
  if (Flag("lazy_update", true) || !first_fault_.ok()) return;
  first_fault_ =
      absl::UnimplementedError(fmt::format("optimizer '{}': lazy_update: 1 expected, updates of "
                                           "rows that the sum does not have are still "
                                           "to come, got 0",
                                           optimizer_));
}

absl::Status ParameterReader::Finish() const {
  for (const auto& [name, value] : parameters_) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const std::string known =
        known_.empty() ? "no parameters" : fmt::format("{}", fmt::join(known_, ", "));
    return absl::InvalidArgumentError(
        fmt::format("optimizer '{}': unknown parameter '{}' (= {}); expected {}", optimizer_,
                    Quotable(name), value, known));
  }
  return first_fault_;
}

}  // namespace kvstore
