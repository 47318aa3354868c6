#include "common/model/number_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

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
    case NumberRange::kFinite:
      return true;
    case NumberRange::kQuarter:
      return rounded > 0 && value <= 0.25;
    case NumberRange::kFactor:
      return rounded > 0 && value <= 1;
    case NumberRange::kWhole:
      return value >= 0 && value <= 0x1p53 && value == std::floor(value);
    case NumberRange::kCount:
      return value >= 1 && value <= 0x1p53 && value == std::floor(value);
    case NumberRange::kTwoFourEight:
      return value == 2 || value == 4 || value == 8;
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
    case NumberRange::kFinite:
      return "a finite number (within f32)";
    case NumberRange::kQuarter:
      return "a number above 0, at most 0.25";
    case NumberRange::kFactor:
      return "a number above 0, at most 1 (within f32)";
    case NumberRange::kWhole:
      return "a whole number from 0 to 2^53";
    case NumberRange::kCount:
      return "a whole number from 1 to 2^53";
    case NumberRange::kTwoFourEight:
      return "2, 4 or 8";
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

std::optional<double> NumberReader::Optional(std::string_view parameter, NumberRange range) {
  known_.emplace_back(parameter);
  const auto it = parameters_.find(known_.back());
  if (it == parameters_.end()) return std::nullopt;
  if (!InRange(it->second, range)) {
    Fail(absl::InvalidArgumentError(fmt::format("{}: {}: {} expected, got {}", owner_, parameter,
                                                RangeText(range), it->second)));
  }
  return it->second;
}

double NumberReader::WithDefault(std::string_view parameter, double default_value,
                                 NumberRange range) {
  return Optional(parameter, range).value_or(default_value);
}

void NumberReader::Fail(absl::Status fault) {
  if (first_fault_.ok()) first_fault_ = std::move(fault);
}

absl::Status NumberReader::Finish() const {
  for (const auto& [name, value] : parameters_) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const std::string known =
        known_.empty() ? "no parameters" : fmt::format("{}", fmt::join(known_, ", "));
    return absl::InvalidArgumentError(fmt::format("{}: unknown parameter '{}' (= {}); expected {}",
                                                  owner_, Quotable(name), value, known));
  }
  return first_fault_;
}

}  // namespace kvstore
