// InitRuleConfig: by which rule the elements of a key come to be that nobody has brought, as an
// Init by rule says it. What the numbers are is common/initial's matter.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/tensor/dtype.h"

namespace kvstore {

// Numbers as in types.proto; one that is not in this list is refused.
enum class InitRuleKind : uint32_t {
  kNone = 0,  // the value was brought
  kZeros = 1,
  kConstant = 2,  // a
  kUniform = 3,   // from a to b
  kNormal = 4,    // of mean a and standard deviation b
};

struct InitRuleConfig {
  InitRuleKind kind = InitRuleKind::kNone;
  double a = 0;
  double b = 0;
  uint64_t seed = 0;      // of kUniform and kNormal
  uint64_t rows_max = 0;  // of a row_sparse key: so many rows may be written; 0: all of them

  bool by_rule() const { return kind != InitRuleKind::kNone; }
  bool operator==(const InitRuleConfig& other) const {
    return kind == other.kind && a == other.a && b == other.b && seed == other.seed &&
           rows_max == other.rows_max;
  }
  bool operator!=(const InitRuleConfig& other) const { return !(*this == other); }
};

// "zeros", "uniform from -0.1 to 0.1, seed 7, at most 1000 rows"; "none".
std::string InitRuleString(const InitRuleConfig& rule);

// Whether values of `dtype` can come to be by this rule. Errors: INVALID_ARGUMENT: an unknown kind,
// numbers that are not finite, a range that is empty, a deviation below 0, a rule that draws
// numbers for a dtype that is no float, a constant that an int dtype does not have, rows_max of a
// key that is not row_sparse.
absl::Status CheckInitRule(const InitRuleConfig& rule, DType dtype, bool row_sparse);

}  // namespace kvstore
