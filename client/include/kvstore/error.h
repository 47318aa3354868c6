// The exception of the public API, and the codes it carries.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kvstore/export.h"

namespace kvstore {

// The canonical codes of gRPC; docs/errors.md says for each what to do.
enum class ErrorCode : int {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,   // the caller's bug
  kDeadlineExceeded = 4,  // still under way: wait again
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,   // slow down
  kFailedPrecondition = 9,  // stop until somebody fixes it
  kAborted = 10,            // fenced: do not retry
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,  // try again
  kDataLoss = 15,     // page somebody
  kUnauthenticated = 16,
};

// "INVALID_ARGUMENT".
KVSTORE_EXPORT const char* ErrorCodeName(ErrorCode code);

// What went wrong, in one line that names the key, what was expected and what came.
class KVSTORE_EXPORT Error : public std::runtime_error {
 public:
  // A number that is no code becomes kUnknown.
  Error(ErrorCode code, const std::string& message, std::string key = {});
  ~Error() override;

  // What kind of failure it is, and so what to do about it.
  ErrorCode code() const { return code_; }
  // The key concerned, as text; empty if none is.
  const std::string& key() const { return key_; }
  // True: nothing happened, or the outcome is known. False: it may have happened
  // (DEADLINE_EXCEEDED, CANCELLED, UNKNOWN).
  bool definite() const {
    return code_ != ErrorCode::kDeadlineExceeded && code_ != ErrorCode::kCancelled &&
           code_ != ErrorCode::kUnknown;
  }

 private:
  ErrorCode code_;
  std::string key_;
};

}  // namespace kvstore
