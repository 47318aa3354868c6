// Ask: one question to a scheduler or a server, and its answer.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

class Transport;

// Both block until the answer is there, at most `timeout_ms`.
// Errors: UNAVAILABLE, DEADLINE_EXCEEDED and others name the address.
absl::StatusOr<v1::ClusterStatus> AskScheduler(Transport& transport, const std::string& address,
                                               int64_t timeout_ms);
absl::StatusOr<v1::ServerStatus> AskServer(Transport& transport, const std::string& address,
                                           int64_t timeout_ms);

}  // namespace kvstore
