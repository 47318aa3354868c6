// The border between absl::Status and grpc::Status: the only place where one becomes the other.
#pragma once

#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"

namespace kvstore {

// The codes have the same numbers; a number that is none becomes UNKNOWN.
absl::Status FromGrpcStatus(const grpc::Status& status);
grpc::Status ToGrpcStatus(const absl::Status& status);

// The status of a failed call, for its caller: gRPC's own messages get the names of the address and
// the method; what the peer's program said stays as it is. Where the connection was closed before
// there was a call, as it is when one end has TLS and the other has not, the message says so.
absl::Status DescribeCallError(const absl::Status& status, std::string_view address,
                               std::string_view method, bool with_tls);

}  // namespace kvstore
