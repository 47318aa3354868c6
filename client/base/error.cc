// kvstore::Error and its making from absl::Status.
#include "kvstore/error.h"

#include <new>

#include "client/base/error_border.h"
#include "client/base/no_memory.h"
#include "common/base/check.h"

namespace kvstore {

const char* ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCancelled:
      return "CANCELLED";
    case ErrorCode::kUnknown:
      return "UNKNOWN";
    case ErrorCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case ErrorCode::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case ErrorCode::kNotFound:
      return "NOT_FOUND";
    case ErrorCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case ErrorCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case ErrorCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case ErrorCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case ErrorCode::kAborted:
      return "ABORTED";
    case ErrorCode::kOutOfRange:
      return "OUT_OF_RANGE";
    case ErrorCode::kUnimplemented:
      return "UNIMPLEMENTED";
    case ErrorCode::kInternal:
      return "INTERNAL";
    case ErrorCode::kUnavailable:
      return "UNAVAILABLE";
    case ErrorCode::kDataLoss:
      return "DATA_LOSS";
    case ErrorCode::kUnauthenticated:
      return "UNAUTHENTICATED";
  }
  return "UNKNOWN";
}

namespace {

// An updater may throw any number; 0 would be no error at all.
ErrorCode KnownCode(ErrorCode code) {
  const bool known = code >= ErrorCode::kCancelled && code <= ErrorCode::kUnauthenticated;
  return known ? code : ErrorCode::kUnknown;
}

}  // namespace

Error::Error(ErrorCode code, const std::string& message, std::string key)
    : std::runtime_error(std::string(ErrorCodeName(code)) + ": " + message),
      code_(KnownCode(code)),
      key_(std::move(key)) {}

Error::~Error() = default;

Error ToError(const absl::Status& status, const std::string& key) {
  KVS_CHECK(!status.ok());
  // The numbers are the same; absl knows no others (it maps unknown ones to kUnknown).
  const auto code = static_cast<ErrorCode>(status.code());
  try {
    return Error(code, std::string(status.message()), key);
  } catch (const std::bad_alloc&) {
    return WordlessError(code);
  }
}

void ThrowIfError(const absl::Status& status, const std::string& key) {
  if (!status.ok()) throw ToError(status, key);
}

void ThrowIfError(const KeyedStatus& status) { ThrowIfError(status.status, status.key); }

std::string StatusLine(const absl::Status& status) {
  if (status.ok()) return "OK";
  return std::string(ErrorCodeName(static_cast<ErrorCode>(status.code()))) + ": " +
         std::string(status.message());
}

}  // namespace kvstore
