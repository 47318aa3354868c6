// Command: what SendCommandToServers sends to the controller of every server; and which commands
// may be sent: checked in the SDK, so that nothing is sent, and by the servers, which trust nobody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace kvstore {

struct Command {
  int32_t id = 0;
  std::string body;
};

// The longest body: it fits one frame, whatever else is in the frame.
inline constexpr size_t kCommandBodyBytesMax = 1u << 20;

// Ids of a controller's commands: 0 (MXNet's kController) and those from 6 on. MXNet's servers keep
// 1 to 5 for themselves; here other calls do what these mean there.
// Errors: INVALID_ARGUMENT for a negative id, a body that is too long, and 1 to 5, naming the call
// to use instead.
absl::Status CheckCommand(int32_t id, size_t body_bytes);

// UNIMPLEMENTED: what a server without a controller answers.
absl::Status NoController(int32_t id);

}  // namespace kvstore
