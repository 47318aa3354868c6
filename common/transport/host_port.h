// HOST:PORT, as flags, routing tables and transports spell it.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace kvstore {

struct HostPort {
  std::string host;  // an IPv6 address has no brackets here
  int port = 0;      // 0 to 65535
};

// "127.0.0.1:7070", "node3:7070", "[::1]:7070". Errors: INVALID_ARGUMENT for anything else, an
// IPv6 address without brackets included. Does not resolve the name.
absl::StatusOr<HostPort> ParseHostPort(std::string_view address);

// The inverse: brackets around a host with a colon.
std::string HostPortString(const HostPort& address);

}  // namespace kvstore
