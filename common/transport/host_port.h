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

// "0.0.0.0" and "::": good for listening, and nobody can dial them.
bool IsAnyHost(const std::string& host);
// "localhost", 127.x.y.z, "::1": only this host reaches them.
bool IsLoopbackHost(const std::string& host);

// The IP address in what MessageStream::peer() says: "10.9.0.2" of "ipv4:10.9.0.2:41822", "::1" of
// "ipv6:%5B::1%5D:41822". Empty for a peer that is in this process.
std::string HostOfPeer(const std::string& peer);

}  // namespace kvstore
