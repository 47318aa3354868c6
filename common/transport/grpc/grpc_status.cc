#include "common/transport/grpc/grpc_status.h"

#include <fmt/format.h>

#include <string>

namespace kvstore {
namespace {

constexpr int kLastCode = static_cast<int>(absl::StatusCode::kUnauthenticated);
static_assert(kLastCode == static_cast<int>(grpc::StatusCode::UNAUTHENTICATED));
static_assert(static_cast<int>(absl::StatusCode::kUnavailable) ==
              static_cast<int>(grpc::StatusCode::UNAVAILABLE));

bool IsCode(int code) { return code >= 0 && code <= kLastCode; }

}  // namespace

absl::Status FromGrpcStatus(const grpc::Status& status) {
  const int code = static_cast<int>(status.error_code());
  return absl::Status(
      IsCode(code) ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
      status.error_message());
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  const int code = static_cast<int>(status.code());
  return grpc::Status(
      IsCode(code) ? static_cast<grpc::StatusCode>(code) : grpc::StatusCode::UNKNOWN,
      std::string(status.message()));
}

absl::Status DescribeCallError(const absl::Status& status, std::string_view address,
                               std::string_view method) {
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kUnimplemented:
      return absl::UnimplementedError(
          fmt::format("{}: method {} is not served there {}", address, method, message));
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return absl::Status(status.code(), fmt::format("{} {}: {}", address, method, message));
    default:
      return status;
  }
}

}  // namespace kvstore
