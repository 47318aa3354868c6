#include "client/base/no_memory.h"

#include <cstddef>
#include <string>
#include <vector>

namespace kvstore {
namespace {

constexpr int kCodes = 17;  // of absl::StatusCode, OK among them

struct Wordless {
  std::vector<absl::Status> statuses;
  std::vector<Error> errors;

  Wordless() {
    for (int code = 0; code < kCodes; ++code) {
      const bool memory = code == static_cast<int>(absl::StatusCode::kResourceExhausted);
      const std::string words = memory ? "memory expected, there is too little"
                                       : "there is too little memory to say more";
      statuses.emplace_back(static_cast<absl::StatusCode>(code), words);
      errors.emplace_back(static_cast<ErrorCode>(code), words);
    }
  }
};

const Wordless& Made() {
  static const Wordless& made = *new Wordless;  // stores may outlive every static object
  return made;
}

size_t IndexOf(int code) {
  const bool known = code > 0 && code < kCodes;
  return static_cast<size_t>(known ? code : static_cast<int>(absl::StatusCode::kUnknown));
}

}  // namespace

void PrepareWordless() { Made(); }

absl::Status WordlessStatus(absl::StatusCode code) noexcept {
  return Made().statuses[IndexOf(static_cast<int>(code))];
}

Error WordlessError(ErrorCode code) noexcept {
  return Made().errors[IndexOf(static_cast<int>(code))];
}

}  // namespace kvstore
