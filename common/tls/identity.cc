#include "common/tls/identity.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace kvstore {
namespace {

constexpr std::string_view kScheme = "kvstore://";
constexpr std::pair<std::string_view, PeerRoles> kNames[] = {{"worker", kWorkerPeer},
                                                             {"server", kServerPeer},
                                                             {"admin", kAdminPeer},
                                                             {"viewer", kViewerPeer}};

absl::Status WrongUri(const std::string& name, const std::string& uri) {
  return absl::UnauthenticatedError(
      fmt::format("the certificate of '{}': kvstore://worker, worker/rank/R, server, "
                  "server/node/NAME, admin or viewer expected among its URIs, got '{}'",
                  name, uri));
}

// What follows `prefix`, if `text` begins with it.
std::optional<std::string_view> After(std::string_view text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return std::nullopt;
  return text.substr(prefix.size());
}

}  // namespace

std::string RoleNames(PeerRoles roles) {
  std::string names;
  for (const auto& [name, role] : kNames) {
    if ((roles & role) != 0) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  }
  return names.empty() ? "no role" : names;
}

PeerRoles RoleOf(const std::string& name) {
  for (const auto& [known, role] : kNames) {
    if (known == name) return role;
  }
  return 0;
}

std::string RoleUri(const std::string& role, std::optional<uint32_t> rank,
                    const std::string& node) {
  std::string uri = fmt::format("{}{}", kScheme, role);
  if (role == "worker" && rank) uri += fmt::format("/rank/{}", *rank);
  if (role == "server" && !node.empty()) uri += fmt::format("/node/{}", node);
  return uri;
}

absl::StatusOr<Identity> IdentityOf(const std::string& name, const std::vector<std::string>& uris) {
  Identity identity;
  identity.name = name;
  for (const std::string& uri : uris) {
    const auto said = After(uri, kScheme);
    if (!said) continue;
    if (const PeerRoles role = RoleOf(std::string(*said)); role != 0) {
      identity.roles |= role;
    } else if (const auto rank = After(*said, "worker/rank/")) {
      uint32_t number = 0;
      const char* const end = rank->data() + rank->size();
      const auto read = std::from_chars(rank->data(), end, number);
      if (read.ec != std::errc() || read.ptr != end) return WrongUri(name, uri);
      identity.roles |= kWorkerPeer;
      identity.worker_rank = number;
    } else if (const auto node = After(*said, "server/node/"); node && !node->empty()) {
      identity.roles |= kServerPeer;
      identity.server_node = std::string(*node);
    } else {
      return WrongUri(name, uri);
    }
  }
  if (identity.roles == 0) return WrongUri(name, fmt::format("{}", fmt::join(uris, ", ")));
  return identity;
}

}  // namespace kvstore
