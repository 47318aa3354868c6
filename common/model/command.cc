#include "common/model/command.h"

#include <fmt/format.h>

namespace kvstore {

absl::Status CheckCommand(int32_t id, size_t body_bytes) {
  const auto not_here = [id](const char* name, const char* instead) {
    return fmt::format("command {}: MXNet's {} is no command here: {}", id, name, instead);
  };
  switch (id) {
    case 1:
      return absl::InvalidArgumentError(
          not_here("kSetMultiPrecision", "it is a parameter of SetOptimizer"));
    case 2:
      return absl::InvalidArgumentError(
          not_here("kStopServer", "servers learn of the job's end when its workers leave"));
    case 3:
      return absl::InvalidArgumentError(
          not_here("kSyncMode", "the type of the store says it (dist_sync, dist_async)"));
    case 4:
      return absl::InvalidArgumentError(
          not_here("kSetGradientCompression", "it is a call of every worker"));
    case 5:
      return absl::InvalidArgumentError(
          not_here("kSetProfilerParams", "SetServerProfilerCommand is the call for it"));
    default:
      break;
  }
  if (id < 0) {
    return absl::InvalidArgumentError(
        fmt::format("a command id of at least 0 expected, got {}", id));
  }
  if (body_bytes > kCommandBodyBytesMax) {
    return absl::InvalidArgumentError(
        fmt::format("command {}: a body of at most {} bytes expected, "
                    "got {}",
                    id, kCommandBodyBytesMax, body_bytes));
  }
  return absl::OkStatus();
}

absl::Status NoController(int32_t id) {
  return absl::UnimplementedError(fmt::format(
      "command {}: a controller expected, this server has none: kvstored never has, a program of "
      "yours has the one that it gives to RunServer",
      id));
}

}  // namespace kvstore
