#include "common/transport/host_port.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "absl/status/status.h"

namespace kvstore {
namespace {

absl::Status Bad(std::string_view address, std::string_view why) {
  return absl::InvalidArgumentError(
      fmt::format("address '{}': HOST:PORT expected ([HOST]:PORT for IPv6), {}", address, why));
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return Bad(address, "got no port");
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);

  const bool brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (host.empty()) return Bad(address, "got no host");
  if (!brackets && host.find(':') != std::string_view::npos) {
    return Bad(address, "got an IPv6 address without brackets");
  }
  const bool plain = std::all_of(host.begin(), host.end(), [brackets](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' ||
           (brackets && (c == ':' || c == '%'));
  });
  if (!plain) return Bad(address, "got a host with other characters than those of a name");

  int number = -1;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number < 0 || number > 65535) {
    return Bad(address, fmt::format("got port '{}' (0 to 65535)", port));
  }
  return HostPort{std::string(host), number};
}

std::string HostPortString(const HostPort& address) {
  return address.host.find(':') == std::string::npos
             ? fmt::format("{}:{}", address.host, address.port)
             : fmt::format("[{}]:{}", address.host, address.port);
}

}  // namespace kvstore
