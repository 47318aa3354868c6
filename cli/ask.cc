#include "cli/ask.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/base/status_macros.h"
#include "common/model/key_spec.h"
#include "common/transport/methods.h"
#include "common/transport/transport.h"

namespace kvstore {
namespace {

// Between two tries: short at first, for a scheduler that is just about to listen.
constexpr int64_t kFirstPauseMs = 20;
constexpr int64_t kPauseMsMax = 500;

absl::StatusOr<std::string> CallUntil(Transport& transport, const std::string& address,
                                      const std::string& method, const std::string& request,
                                      int64_t timeout_ms) {
  const int64_t deadline_ms = SteadyNowMs() + timeout_ms;
  int64_t pause_ms = kFirstPauseMs;
  int64_t left_ms = timeout_ms;
  absl::Status last;  // why the tries so far failed
  while (true) {
    absl::StatusOr<std::string> answer = transport.CallUnary(address, method, request, left_ms);
    // A last try that had no time left would hide what the earlier ones said.
    const bool out_of_time = absl::IsDeadlineExceeded(answer.status()) && !last.ok();
    if (!absl::IsUnavailable(answer.status()) && !out_of_time) return answer;
    if (!out_of_time) last = answer.status();
    left_ms = deadline_ms - SteadyNowMs();
    if (out_of_time || left_ms <= kFirstPauseMs) {
      return absl::UnavailableError(
          fmt::format("{} (tried for {} ms)", std::string(last.message()), timeout_ms));
    }
    // The last tries lie closer together: one is made when nearly all of the time has passed.
    const int64_t next_ms = std::clamp(left_ms / 2, kFirstPauseMs, pause_ms);
    std::this_thread::sleep_for(std::chrono::milliseconds(next_ms));
    left_ms -= next_ms;
    pause_ms = std::min(2 * pause_ms, kPauseMsMax);
  }
}

template <typename Reply>
absl::StatusOr<Reply> Ask(Transport& transport, const std::string& address,
                          const std::string& method, const std::string& request,
                          int64_t timeout_ms) {
  KVS_ASSIGN_OR_RETURN(const std::string bytes,
                       CallUntil(transport, address, method, request, timeout_ms));
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
  return Ask<v1::ClusterStatus>(transport, address, kSchedulerStatusMethod, "", timeout_ms);
}

absl::StatusOr<v1::ServerStatus> AskServer(Transport& transport, const std::string& address,
                                           int64_t timeout_ms) {
  return Ask<v1::ServerStatus>(transport, address, kServerStatusMethod, "", timeout_ms);
}

absl::StatusOr<v1::ServerKeyStats> AskKeyStats(Transport& transport, const std::string& address,
                                               const v1::KeyStatsRequest& request,
                                               int64_t timeout_ms) {
  v1::KeyStatsRequest asked = request;
  v1::ServerKeyStats all;
  while (true) {
    KVS_ASSIGN_OR_RETURN(v1::ServerKeyStats page,
                         Ask<v1::ServerKeyStats>(transport, address, kKeyStatsMethod,
                                                 asked.SerializeAsString(), timeout_ms));
    const bool more = page.keys_total() > static_cast<uint64_t>(page.keys_size());
    if (page.keys_size() > 0) {
      const v1::KeyStats& last = page.keys(page.keys_size() - 1);
      const KeyPlace place{last.key(), last.name()};
      const KeyPlace after{asked.after().key(), asked.after().name()};
      if (asked.has_after() && !(after < place)) {
        return absl::InternalError(fmt::format(
            "the answer of {} to {}: keys behind {} expected, got {}", address, kKeyStatsMethod,
            KeyLabel(after.key, after.name), KeyLabel(place.key, place.name)));
      }
      asked.mutable_after()->set_key(place.key);
      asked.mutable_after()->set_name(place.name);
    }
    const bool empty = page.keys_size() == 0;
    for (v1::KeyStats& key : *page.mutable_keys()) *all.add_keys() = std::move(key);
    if (!more || empty) return all;
  }
}

absl::StatusOr<v1::DeletedKeys> AskToDelete(Transport& transport, const std::string& address,
                                            const v1::DeleteKeysRequest& request,
                                            int64_t timeout_ms) {
  return Ask<v1::DeletedKeys>(transport, address, kDeleteKeysMethod, request.SerializeAsString(),
                              timeout_ms);
}

absl::StatusOr<v1::DeletedKeys> AskToReset(Transport& transport, const std::string& address,
                                           const v1::DeleteKeysRequest& request,
                                           int64_t timeout_ms) {
  return Ask<v1::DeletedKeys>(transport, address, kResetKeysMethod, request.SerializeAsString(),
                              timeout_ms);
}

absl::StatusOr<v1::KeyPiece> AskForKeyPiece(Transport& transport, const std::string& address,
                                            const v1::ReadKeyRequest& request, int64_t timeout_ms) {
  return Ask<v1::KeyPiece>(transport, address, kReadKeyMethod, request.SerializeAsString(),
                           timeout_ms);
}

absl::StatusOr<v1::NumbersReport> AskOfNumbers(Transport& transport, const std::string& address,
                                               const v1::NumbersOrderRequest& order,
                                               int64_t timeout_ms) {
  return Ask<v1::NumbersReport>(transport, address, kOrderNumbersMethod, order.SerializeAsString(),
                                timeout_ms);
}

absl::Status AskToRunCommand(Transport& transport, const std::string& address,
                             const v1::RunCommandRequest& request, int64_t timeout_ms) {
  return Ask<v1::RunCommandReply>(transport, address, kRunCommandMethod,
                                  request.SerializeAsString(), timeout_ms)
      .status();
}

absl::Status AskToProfile(Transport& transport, const std::string& address,
                          const v1::ProfilerOrderRequest& order, int64_t timeout_ms) {
  return Ask<v1::ProfilerOrderReply>(transport, address, kOrderProfilerMethod,
                                     order.SerializeAsString(), timeout_ms)
      .status();
}

absl::StatusOr<v1::ProfilePiece> AskForProfile(Transport& transport, const std::string& address,
                                               const v1::ReadProfileRequest& request,
                                               int64_t timeout_ms) {
  return Ask<v1::ProfilePiece>(transport, address, kReadProfileMethod, request.SerializeAsString(),
                               timeout_ms);
}

}  // namespace kvstore
