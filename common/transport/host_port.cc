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

bool IsAnyHost(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

bool IsLoopbackHost(const std::string& host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0 ||
         host.rfind("::ffff:127.", 0) == 0;
}

std::string HostOfPeer(const std::string& peer) {
  const size_t scheme = peer.find(':');
  if (scheme == std::string::npos) return "";
  const std::string kind = peer.substr(0, scheme);
  if (kind != "ipv4" && kind != "ipv6") return "";
  std::string address;  // gRPC writes brackets, and the % of a zone, as %XX
  for (size_t i = scheme + 1; i < peer.size(); ++i) {
    int code = 0;
    if (peer[i] == '%' && i + 2 < peer.size() &&
        std::from_chars(&peer[i] + 1, &peer[i] + 3, code, 16).ptr == &peer[i] + 3) {
      address += static_cast<char>(code);
      i += 2;
    } else {
      address += peer[i];
    }
  }
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  return parsed.ok() ? parsed->host : "";
}

}  // namespace kvstore
