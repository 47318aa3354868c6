// Finds out which addresses this host has, and which of them others can be told.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/transport/host_port.h"

namespace kvstore {

// "localhost" if it has none.
std::string ThisHostName();

// An address of the network interface `name`: the first IPv4 one, else the first IPv6 one that is
// not link-local. Errors: NOT_FOUND.
absl::StatusOr<std::string> InterfaceHost(const std::string& name);

// All addresses of this host's interfaces that are not link-local, with the interface's name before
// each, in the system's order. Empty where the system does not say.
std::vector<std::pair<std::string, std::string>> InterfaceHosts();

// Whether `host` is "localhost", this host's name, or an address of one of its interfaces. Asks no
// name server. False where in doubt.
bool IsThisHost(const std::string& host);

// The address that this host has on the way to `peer`: what the kernel would choose as the source
// of a packet to it. Sends nothing; may block on DNS. Of a name that has IPv4 and IPv6 addresses,
// the first IPv4 one counts that there is a way to. Errors: UNAVAILABLE says whether the name could
// not be resolved (it may be, later) or which addresses there is no route to.
absl::StatusOr<std::string> LocalHostTowards(const HostPort& peer);

}  // namespace kvstore
