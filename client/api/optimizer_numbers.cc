#include "client/api/optimizer_numbers.h"

#include <fmt/format.h>

#include "absl/strings/numbers.h"
#include "common/model/number_reader.h"

namespace kvstore {

absl::StatusOr<NumbersChange> NumbersChangeOf(
    const std::vector<std::pair<std::string, std::string>>& numbers, int64_t from_step) {
  const auto refused = [](const std::string& problem) {
    return absl::InvalidArgumentError("SetOptimizerNumbers: " + problem);
  };
  if (numbers.empty()) return refused("at least one number expected, got none");
  if (from_step < 1) {
    return refused(fmt::format("a from_step of at least 1 expected, got {}", from_step));
  }
  NumbersChange change;
  change.from_step = static_cast<uint64_t>(from_step);
  for (const auto& [name, text] : numbers) {
    double number = 0;
    if (!absl::SimpleAtod(text, &number)) {
      return refused(
          fmt::format("{}: a number expected, got '{}'", Quotable(name), Quotable(text)));
    }
    if (!change.numbers.emplace(name, number).second) {
      return refused(fmt::format("each number once expected, '{}' comes twice", Quotable(name)));
    }
  }
  return change;
}

}  // namespace kvstore
