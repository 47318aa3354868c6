// Who a process is to the others of its cluster: what its certificate says.
//
//   URI of the certificate (subjectAltName)    who has it
//   kvstore://worker                           a worker or reader
//   kvstore://worker/rank/3                    the worker with rank 3, no other
//   kvstore://server                           a kvstored or kvscheduler
//   kvstore://server/node/ps-1                 the same, but only on the host it calls ps-1
//   kvstore://admin                            an operator: kvctl
//   kvstore://viewer                           one who may look, and change nothing
//
// A certificate may have several of them. Names of hosts are not looked at: a cluster trusts what
// its own authority has signed, wherever it runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kvstore {

// Bits, since a certificate can have several roles.
using PeerRoles = unsigned;
inline constexpr PeerRoles kWorkerPeer = 1;
inline constexpr PeerRoles kServerPeer = 2;
inline constexpr PeerRoles kAdminPeer = 4;
inline constexpr PeerRoles kViewerPeer = 8;
inline constexpr PeerRoles kAnyPeer = kWorkerPeer | kServerPeer | kAdminPeer | kViewerPeer;

struct Identity {
  std::string name;  // the certificate's common name, for messages
  PeerRoles roles = 0;
  // What a role is pinned to; without it any will do.
  std::optional<uint32_t> worker_rank;
  std::string server_node;
};

// "worker, admin"; "no role" of none.
std::string RoleNames(PeerRoles roles);
// The bit of a role's name, or 0.
PeerRoles RoleOf(const std::string& name);

// The URI of a certificate for one role, pinned where `rank` or `node` is given.
std::string RoleUri(const std::string& role, std::optional<uint32_t> rank, const std::string& node);

// Of a certificate's common name and URIs, those that do not begin with kvstore:// left aside.
// Errors: UNAUTHENTICATED: no role among them, one that is unknown, or a pin that is none.
absl::StatusOr<Identity> IdentityOf(const std::string& name, const std::vector<std::string>& uris);

}  // namespace kvstore
