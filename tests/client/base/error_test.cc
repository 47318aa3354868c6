// From a status to what callers catch.
#include "kvstore/error.h"

#include <catch2/catch.hpp>
#include <string>

#include "absl/status/status.h"
#include "client/base/error_border.h"

namespace kvstore {

TEST_CASE("every status code has its name and its class", "[errors]") {
  for (int code = 1; code <= 16; ++code) {
    const Error error = ToError(absl::Status(static_cast<absl::StatusCode>(code), "why"), "k");
    CHECK(static_cast<int>(error.code()) == code);
    CHECK(error.key() == "k");
    CHECK(std::string(error.what()) ==
          absl::StatusCodeToString(static_cast<absl::StatusCode>(code)) + ": why");
    const bool indefinite = code == 1 || code == 2 || code == 4;
    CHECK(error.definite() == !indefinite);
  }
  for (const int none : {0, -1, 17}) {
    CHECK(Error(static_cast<ErrorCode>(none), "why").code() == ErrorCode::kUnknown);
  }
}

}  // namespace kvstore
