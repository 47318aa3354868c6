// Which rules are taken, and what is said of the others.
#include "common/model/init_rule_config.h"

#include <catch2/catch.hpp>
#include <limits>

namespace kvstore {
namespace {

absl::Status Check(const InitRuleConfig& rule, DType dtype = DType::kFloat32,
                   bool row_sparse = false) {
  return CheckInitRule(rule, dtype, row_sparse);
}

InitRuleConfig Rule(InitRuleKind kind, double a = 0, double b = 0) {
  InitRuleConfig rule;
  rule.kind = kind;
  rule.a = a;
  rule.b = b;
  return rule;
}

}  // namespace

TEST_CASE("a rule is refused whose numbers it cannot have, with what was expected", "[initial]") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto refused = [](const InitRuleConfig& rule, DType dtype, const char* message) {
    CHECK(Check(rule, dtype) == absl::InvalidArgumentError(message));
  };
  refused(Rule(static_cast<InitRuleKind>(5)), DType::kFloat32,
          "a rule from 0 (none) to 4 (normal) expected, got 5");
  refused(Rule(InitRuleKind::kConstant, kInf), DType::kFloat32,
          "rule constant: a finite number expected, got inf");
  refused(Rule(InitRuleKind::kConstant, 0.5), DType::kInt32,
          "rule constant: a whole number from -2147483648 to 2147483647 expected for i32, got 0.5");
  refused(Rule(InitRuleKind::kConstant, -1), DType::kUInt8,
          "rule constant: a whole number from 0 to 255 expected for u8, got -1");
  refused(Rule(InitRuleKind::kConstant, 2), DType::kBool,
          "rule constant: a whole number from 0 to 1 expected for bool, got 2");
  refused(Rule(InitRuleKind::kUniform, 0, 1), DType::kInt64,
          "rule uniform: a dtype of floats expected, got i64");
  refused(Rule(InitRuleKind::kUniform, 1, 1), DType::kFloat64,
          "rule uniform: a low end below the high one expected, got 1 and 1");
  refused(Rule(InitRuleKind::kUniform, -1.7e308, 1.7e308), DType::kFloat64,
          "rule uniform: a low end below the high one expected, got -1.7e+308 and 1.7e+308");
  refused(Rule(InitRuleKind::kNormal, 0, -1), DType::kFloat16,
          "rule normal: a deviation of at least 0 expected, got -1");
  refused(Rule(InitRuleKind::kNormal, kInf, 1), DType::kFloat16,
          "rule normal: finite numbers expected, got inf and 1");
  InitRuleConfig bounded = Rule(InitRuleKind::kZeros);
  bounded.rows_max = 3;
  refused(bounded, DType::kFloat32,
          "rows_max 3: a row_sparse key whose rows come to be by rule expected, got another");
  CHECK(Check(bounded, DType::kFloat32, /*row_sparse=*/true).ok());
}

TEST_CASE("a rule is taken for each dtype that has its numbers", "[initial]") {
  CHECK(Check({}).ok());
  CHECK(Check(Rule(InitRuleKind::kZeros), DType::kBool).ok());
  CHECK(Check(Rule(InitRuleKind::kConstant, 1e300), DType::kFloat16).ok());  // becomes infinity
  CHECK(Check(Rule(InitRuleKind::kConstant, -128), DType::kInt8).ok());
  CHECK(Check(Rule(InitRuleKind::kConstant, 0x1p53), DType::kInt64).ok());
  CHECK(Check(Rule(InitRuleKind::kUniform, -1, 1), DType::kBFloat16).ok());
  CHECK(Check(Rule(InitRuleKind::kNormal, 3, 0), DType::kFloat64).ok());
}

TEST_CASE("a rule is named in messages", "[initial]") {
  CHECK(InitRuleString({}) == "none");
  CHECK(InitRuleString(Rule(InitRuleKind::kZeros)) == "zeros");
  CHECK(InitRuleString(Rule(InitRuleKind::kConstant, 0.5)) == "constant 0.5");
  InitRuleConfig rule = Rule(InitRuleKind::kUniform, -0.1, 0.1);
  rule.seed = 7;
  rule.rows_max = 1000;
  CHECK(InitRuleString(rule) == "uniform from -0.1 to 0.1, seed 7, at most 1000 rows");
  rule.kind = InitRuleKind::kNormal;
  CHECK(InitRuleString(rule) == "normal of mean -0.1 and deviation 0.1, seed 7, at most 1000 rows");
}

}  // namespace kvstore
