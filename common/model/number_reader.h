// Reading named numbers, such as an optimizer's or a codec's parameters, which a user or a peer
// chose: one way to say what is known and what is wrong.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace kvstore {

// What a number may be. All must be finite and within the range of f32, since f32 keys round them.
enum class NumberRange {
  kNotNegative,   // >= 0
  kPositive,      // > 0, also after rounding to f32
  kNotZero,       // either sign, also after rounding to f32
  kShare,         // >= 0 and below 1, also after rounding to f32
  kFlag,          // 0 or 1
  kFinite,        // any
  kQuarter,       // > 0, at most 0.25
  kFactor,        // > 0, also after rounding to f32, at most 1
  kWhole,         // a whole number from 0 to 2^53; need not be within f32 exactly
  kCount,         // the same, from 1 on
  kTwoFourEight,  // 2, 4 or 8
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
class NumberReader {
 public:
  // `owner`: "optimizer 'sgd'": how messages begin. `parameters` outlives the reader.
  NumberReader(std::string owner, const std::map<std::string, double>& parameters)
      : owner_(std::move(owner)), parameters_(parameters) {}

  double WithDefault(std::string_view parameter, double default_value, NumberRange range);
  std::optional<double> Optional(std::string_view parameter, NumberRange range);
  bool Flag(std::string_view parameter, bool default_value) {
    return WithDefault(parameter, default_value ? 1 : 0, NumberRange::kFlag) != 0;
  }

  // Errors: INVALID_ARGUMENT for an unknown parameter (lists the known ones), or a number out of
  // its range (names the range and the number); what Fail was told.
  absl::Status Finish() const;

 protected:
  const std::string& owner() const { return owner_; }
  // What is wrong, unless something was before.
  void Fail(absl::Status fault);

 private:
  std::string owner_;
  const std::map<std::string, double>& parameters_;
  std::vector<std::string> known_;
  absl::Status first_fault_;
};

}  // namespace kvstore
