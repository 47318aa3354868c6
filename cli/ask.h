// Ask: one question to a scheduler or a server, and its answer.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

class Transport;

// All block until the answer is there, at most `timeout_ms`, and try again meanwhile when nobody
// is reached: a daemon that is about to listen, a connection that breaks, or a connect that
// gRPC 1.51 reports with a stray errno (seen in a root without /sys) is no reason to give up.
// Errors: UNAVAILABLE (the last try's reason), DEADLINE_EXCEEDED and others name the address.
absl::StatusOr<v1::ClusterStatus> AskScheduler(Transport& transport, const std::string& address,
                                               int64_t timeout_ms);
absl::StatusOr<v1::ServerStatus> AskServer(Transport& transport, const std::string& address,
                                           int64_t timeout_ms);
// All pages of the answer, each of which may take `timeout_ms`.
absl::StatusOr<v1::ServerKeyStats> AskKeyStats(Transport& transport, const std::string& address,
                                               const v1::KeyStatsRequest& request,
                                               int64_t timeout_ms);
// Likewise; deleting again what is deleted is nothing.
absl::StatusOr<v1::DeletedKeys> AskToDelete(Transport& transport, const std::string& address,
                                            const v1::DeleteKeysRequest& request,
                                            int64_t timeout_ms);
// Likewise; each call resets anew.
absl::StatusOr<v1::DeletedKeys> AskToReset(Transport& transport, const std::string& address,
                                           const v1::DeleteKeysRequest& request,
                                           int64_t timeout_ms);
absl::StatusOr<v1::KeyPiece> AskForKeyPiece(Transport& transport, const std::string& address,
                                            const v1::ReadKeyRequest& request, int64_t timeout_ms);
// Likewise. Errors: those of ServerCore::OrderNumbers, too; its orders may be repeated.
absl::StatusOr<v1::NumbersReport> AskOfNumbers(Transport& transport, const std::string& address,
                                               const v1::NumbersOrderRequest& order,
                                               int64_t timeout_ms);
// Likewise. A command that may have been heard is not carried out twice. Errors: the controller's,
// too.
absl::Status AskToRunCommand(Transport& transport, const std::string& address,
                             const v1::RunCommandRequest& request, int64_t timeout_ms);
// Likewise. Errors: the profiler's, too. An order that was lost on its way back is given again.
absl::Status AskToProfile(Transport& transport, const std::string& address,
                          const v1::ProfilerOrderRequest& order, int64_t timeout_ms);
absl::StatusOr<v1::ProfilePiece> AskForProfile(Transport& transport, const std::string& address,
                                               const v1::ReadProfileRequest& request,
                                               int64_t timeout_ms);

}  // namespace kvstore
