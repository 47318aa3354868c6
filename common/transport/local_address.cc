#include "common/transport/local_address.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

namespace kvstore {
namespace {

// "10.9.0.2", "fe80::1%eth0".
std::optional<std::string> NumericHost(const sockaddr* address) {
  const socklen_t size = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  std::array<char, NI_MAXHOST> text{};
  if (::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    return std::nullopt;
  }
  return text.data();
}

bool IsLinkLocal(const sockaddr* address) {
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

// The source address towards `target`; connecting a datagram socket looks up the route and no more.
absl::StatusOr<std::string> SourceTowards(const addrinfo& target) {
  const int fd = ::socket(target.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::UnavailableError(std::strerror(errno));
  sockaddr_storage source{};
  socklen_t size = sizeof source;
  auto* const address = reinterpret_cast<sockaddr*>(&source);
  const bool known = ::connect(fd, target.ai_addr, target.ai_addrlen) == 0 &&
                     ::getsockname(fd, address, &size) == 0;
  const int error = errno;
  ::close(fd);
  if (!known) return absl::UnavailableError(std::strerror(error));
  if (const auto host = NumericHost(address)) return *host;
  return absl::UnavailableError("no numeric source address");
}

}  // namespace

std::string ThisHostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

absl::StatusOr<std::string> InterfaceHost(const std::string& name) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) {
    return absl::NotFoundError(fmt::format("no interfaces: {}", std::strerror(errno)));
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, &::freeifaddrs);
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
      const sockaddr* const address = entry->ifa_addr;
      if (name != entry->ifa_name || address == nullptr || address->sa_family != family ||
          IsLinkLocal(address)) {
        continue;
      }
      if (const auto host = NumericHost(address)) return *host;
    }
  }
  return absl::NotFoundError(fmt::format("no interface '{}' with an address", name));
}

std::vector<std::pair<std::string, std::string>> InterfaceHosts() {
  std::vector<std::pair<std::string, std::string>> hosts;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return hosts;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, &::freeifaddrs);
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
    const sockaddr* const address = entry->ifa_addr;
    if (address == nullptr || (address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        IsLinkLocal(address)) {
      continue;
    }
    if (const auto host = NumericHost(address)) hosts.emplace_back(entry->ifa_name, *host);
  }
  return hosts;
}

bool IsThisHost(const std::string& host) {
  // All of 127.0.0.0/8 is this host, and the interface has one of it.
  if (host == "localhost" || host == ThisHostName() || host.rfind("127.", 0) == 0) return true;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return false;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, &::freeifaddrs);
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
    const sockaddr* const address = entry->ifa_addr;
    if (address == nullptr || (address->sa_family != AF_INET && address->sa_family != AF_INET6)) {
      continue;
    }
    if (NumericHost(address) == host) return true;
  }
  return false;
}

absl::StatusOr<std::string> LocalHostTowards(const HostPort& peer) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICSERV;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int failed =
      ::getaddrinfo(peer.host.c_str(), std::to_string(peer.port).c_str(), &hints, &found);
  if (failed != 0) {
    return absl::UnavailableError(
        fmt::format("cannot resolve the host {} ({})", peer.host, ::gai_strerror(failed)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::string troubles;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
      if (one->ai_family != family) continue;
      absl::StatusOr<std::string> source = SourceTowards(*one);
      if (source.ok()) return source;
      troubles += fmt::format("{}{}: {}", troubles.empty() ? "" : ", ",
                              NumericHost(one->ai_addr).value_or(peer.host),
                              std::string(source.status().message()));
    }
  }
  return absl::UnavailableError(fmt::format("no route ({})", troubles));
}

}  // namespace kvstore
