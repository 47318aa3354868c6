#include "server/scheduler/advertised_address.h"

#include <fmt/format.h>

#include "common/transport/host_port.h"

namespace kvstore {

absl::Status CheckAdvertisedAddress(const std::string& address, const std::string& peer) {
  const std::string from = HostOfPeer(peer);
  if (from.empty() || IsLoopbackHost(from)) return absl::OkStatus();
  const absl::StatusOr<HostPort> advertised = ParseHostPort(address);
  // Text that is no address at all is refused by the core.
  if (!advertised.ok()) return absl::OkStatus();
  if (!IsLoopbackHost(advertised->host) && !IsAnyHost(advertised->host)) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "the server of host {} advertises {}: an address that other hosts reach expected, this one "
      "means every host's own; --advertise HOST:PORT (KVSTORE_ADVERTISE) says where workers reach "
      "it",
      from, address));
}

}  // namespace kvstore
