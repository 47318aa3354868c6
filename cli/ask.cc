#include "cli/ask.h"

#include <fmt/format.h>

#include "common/base/status_macros.h"
#include "common/transport/methods.h"
#include "common/transport/transport.h"

namespace kvstore {
namespace {

template <typename Reply>
absl::StatusOr<Reply> Ask(Transport& transport, const std::string& address,
                          const std::string& method, int64_t timeout_ms) {
  // Both requests are empty messages: no bytes.
  KVS_ASSIGN_OR_RETURN(const std::string bytes,
                       transport.CallUnary(address, method, std::string(), timeout_ms));
  Reply reply;
  if (!reply.ParseFromString(bytes)) {
    return absl::InternalError(
        fmt::format("the answer of {} to {} is not a {}", address, method, reply.GetTypeName()));
  }
  return reply;
}

}  // namespace

absl::StatusOr<v1::ClusterStatus> AskScheduler(Transport& transport, const std::string& address,
                                               int64_t timeout_ms) {
  return Ask<v1::ClusterStatus>(transport, address, kSchedulerStatusMethod, timeout_ms);
}

absl::StatusOr<v1::ServerStatus> AskServer(Transport& transport, const std::string& address,
                                           int64_t timeout_ms) {
  return Ask<v1::ServerStatus>(transport, address, kServerStatusMethod, timeout_ms);
}

}  // namespace kvstore
