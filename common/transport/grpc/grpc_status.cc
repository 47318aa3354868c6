#include "common/transport/grpc/grpc_status.h"

#include <fmt/format.h>

#include <string>

namespace kvstore {
namespace {

constexpr int kLastCode = static_cast<int>(absl::StatusCode::kUnauthenticated);
static_assert(kLastCode == static_cast<int>(grpc::StatusCode::UNAUTHENTICATED));
static_assert(static_cast<int>(absl::StatusCode::kUnavailable) ==
              static_cast<int>(grpc::StatusCode::UNAVAILABLE));

// gRPC's words for a connection that broke while hands were shaken.
bool ClosedBeforeCall(const std::string& message) {
  const auto has = [&](const char* text) { return message.find(text) != std::string::npos; };
  return has("failed to connect") &&
         (has("Socket closed") || has("handshake failed") || has("Connection reset"));
}

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
                               std::string_view method, bool with_tls) {
  std::string message(status.message());
  if (ClosedBeforeCall(message)) {
    message += with_tls
                   ? "; the other end may have no TLS, or not take this process's certificate: "
                     "its log says which"
                   : "; the other end may have TLS, and here --tls-dir (KVSTORE_TLS_DIR) is not "
                     "set";
  }
  switch (status.code()) {
    case absl::StatusCode::kUnimplemented:
      if (!message.empty()) return status;  // of a handler; gRPC's own has no words
      return absl::UnimplementedError(
          fmt::format("{}: method {} is not served there", address, method));
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return absl::Status(status.code(), fmt::format("{} {}: {}", address, method, message));
    default:
      return status;
  }
}

}  // namespace kvstore
