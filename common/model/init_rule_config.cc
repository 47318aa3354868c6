#include "common/model/init_rule_config.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "common/base/status_macros.h"

namespace kvstore {
namespace {

bool IsFloat(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 ||
         dtype == DType::kBFloat16;
}

struct Range {
  double low = 0;
  double high = 0;
};

template <typename T>
Range RangeOf() {
  return {static_cast<double>(std::numeric_limits<T>::min()),
          static_cast<double>(std::numeric_limits<T>::max())};
}

// Whole numbers from low to high are those of an int dtype; of i64 those that a double has, too.
Range WholeNumbersOf(DType dtype) {
  switch (dtype) {
    case DType::kUInt8:
      return RangeOf<uint8_t>();
    case DType::kInt8:
      return RangeOf<int8_t>();
    case DType::kInt32:
      return RangeOf<int32_t>();
    case DType::kInt64:
      return {-0x1p53, 0x1p53};
    default:  // bool
      return {0, 1};
  }
}

absl::Status CheckConstant(double value, DType dtype) {
  if (!std::isfinite(value)) {
    return absl::InvalidArgumentError(
        fmt::format("rule constant: a finite number expected, got {}", value));
  }
  if (IsFloat(dtype)) return absl::OkStatus();
  const Range range = WholeNumbersOf(dtype);
  if (value == std::trunc(value) && value >= range.low && value <= range.high) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("rule constant: a whole number from {} to {} expected for {}, got {}", range.low,
                  range.high, DTypeName(dtype), value));
}

absl::Status CheckDrawn(const InitRuleConfig& rule, DType dtype) {
  const char* const name = rule.kind == InitRuleKind::kUniform ? "uniform" : "normal";
  if (!IsFloat(dtype)) {
    return absl::InvalidArgumentError(
        fmt::format("rule {}: a dtype of floats expected, got {}", name, DTypeName(dtype)));
  }
  if (!std::isfinite(rule.a) || !std::isfinite(rule.b)) {
    return absl::InvalidArgumentError(
        fmt::format("rule {}: finite numbers expected, got {} and {}", name, rule.a, rule.b));
  }
  if (rule.kind == InitRuleKind::kUniform && !(rule.a < rule.b && std::isfinite(rule.b - rule.a))) {
    return absl::InvalidArgumentError(fmt::format(
        "rule uniform: a low end below the high one expected, got {} and {}", rule.a, rule.b));
  }
  if (rule.kind == InitRuleKind::kNormal && rule.b < 0) {
    return absl::InvalidArgumentError(
        fmt::format("rule normal: a deviation of at least 0 expected, got {}", rule.b));
  }
  return absl::OkStatus();
}

}  // namespace

std::string InitRuleString(const InitRuleConfig& rule) {
  std::string text;
  switch (rule.kind) {
    case InitRuleKind::kNone:
      return "none";
    case InitRuleKind::kZeros:
      text = "zeros";
      break;
    case InitRuleKind::kConstant:
      text = fmt::format("constant {}", rule.a);
      break;
    case InitRuleKind::kUniform:
      text = fmt::format("uniform from {} to {}, seed {}", rule.a, rule.b, rule.seed);
      break;
    case InitRuleKind::kNormal:
      text = fmt::format("normal of mean {} and deviation {}, seed {}", rule.a, rule.b, rule.seed);
      break;
  }
  if (rule.rows_max > 0) text += fmt::format(", at most {} rows", rule.rows_max);
  return text;
}

absl::Status CheckInitRule(const InitRuleConfig& rule, DType dtype, bool row_sparse) {
  switch (rule.kind) {
    case InitRuleKind::kNone:
    case InitRuleKind::kZeros:
      break;
    case InitRuleKind::kConstant:
      KVS_RETURN_IF_ERROR(CheckConstant(rule.a, dtype));
      break;
    case InitRuleKind::kUniform:
    case InitRuleKind::kNormal:
      KVS_RETURN_IF_ERROR(CheckDrawn(rule, dtype));
      break;
    default:
      return absl::InvalidArgumentError(fmt::format(
          "a rule from 0 (none) to 4 (normal) expected, got {}", static_cast<uint32_t>(rule.kind)));
  }
  if (rule.rows_max > 0 && !(row_sparse && rule.by_rule())) {
    return absl::InvalidArgumentError(fmt::format(
        "rows_max {}: a row_sparse key whose rows come to be by rule expected, got another",
        rule.rows_max));
  }
  return absl::OkStatus();
}

}  // namespace kvstore
