#include "common/transport/grpc/grpc_log.h"

#include <fmt/format.h>
#include <grpc/support/log.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <string_view>

#include "common/base/clock.h"

namespace kvstore {
namespace {

constexpr int64_t kBetweenMs = 1000;

// Of a connection whose certificate does not have the name that was dialled. It is chosen by its
// role, not by its name (common/tls/identity.h).
bool IsOfNames(std::string_view message) {
  return message.find("No match found for server name") != std::string_view::npos;
}

void Log(gpr_log_func_args* line) {
  static std::atomic<int64_t> logged_ms{-kBetweenMs};
  static std::atomic<uint64_t> left_out{0};
  if (IsOfNames(line->message)) return;
  const int64_t now = SteadyNowMs();
  int64_t last = logged_ms.load();
  if (now - last < kBetweenMs || !logged_ms.compare_exchange_strong(last, now)) {
    ++left_out;
    return;
  }
  const auto level =
      line->severity == GPR_LOG_SEVERITY_ERROR ? spdlog::level::warn : spdlog::level::debug;
  try {
    const uint64_t more = left_out.exchange(0);
    spdlog::log(level, "gRPC: {}{}", line->message,
                more == 0 ? "" : fmt::format(" ({} more since the line before)", more));
  } catch (const std::exception&) {  // no memory for a line
  }
}

}  // namespace

void LogOfGrpc() { gpr_set_log_function(&Log); }

}  // namespace kvstore
