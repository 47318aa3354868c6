// AskServers: one question to every server of a cluster that is not known to be gone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/transport/transport.h"

namespace kvstore {

// Asks the scheduler for the servers; calls `ask` for each, by rank, with its address.
// Errors: those of asking the scheduler.
absl::Status ForEachServer(
    Transport& transport, const std::string& scheduler, int64_t timeout_ms,
    const std::function<void(uint32_t rank, const std::string& address)>& ask);

// The answer of `ask`, or its error, of every server by rank.
template <typename Answer, typename Ask>
absl::StatusOr<std::map<uint32_t, absl::StatusOr<Answer>>> AskServers(Transport& transport,
                                                                      const std::string& scheduler,
                                                                      int64_t timeout_ms, Ask ask) {
  std::map<uint32_t, absl::StatusOr<Answer>> answers;
  const absl::Status asked = ForEachServer(
      transport, scheduler, timeout_ms, [&](uint32_t rank, const std::string& address) {
        answers.emplace(rank, ask(transport, address, timeout_ms));
      });
  if (!asked.ok()) return asked;
  return answers;
}

}  // namespace kvstore
