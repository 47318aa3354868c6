#include "common/transport/grpc/probe_address.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace kvstore {
namespace {

absl::Status Unavailable(const HostPort& address, std::string_view why) {
  return absl::UnavailableError(fmt::format("address {}: {}", HostPortString(address), why));
}

std::string Explain(int error) {
  switch (error) {
    case EADDRINUSE:
      return "already in use";
    case EADDRNOTAVAIL:
      return "this host has no such address";
    case EACCES:
      return "not allowed to bind this port";
    default:
      return std::strerror(error);
  }
}

}  // namespace

absl::Status ProbeAddress(const HostPort& address) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (failed != 0) {
    return Unavailable(address, fmt::format("cannot resolve the host ({})", gai_strerror(failed)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  // gRPC is content when one of a name's addresses can be bound.
  int error = 0;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const int fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
    if (fd < 0) {
      error = errno;
      continue;
    }
    // SO_REUSEADDR, which gRPC sets, too: a port in TIME_WAIT counts as free.
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const bool bound = bind(fd, one->ai_addr, one->ai_addrlen) == 0;
    error = bound ? 0 : errno;
    close(fd);
    if (bound) return absl::OkStatus();
  }
  return Unavailable(address, Explain(error));
}

}  // namespace kvstore
