// Says in words why an address cannot be bound; gRPC only says that it cannot.
#pragma once

#include "absl/status/status.h"
#include "common/transport/host_port.h"

namespace kvstore {

// Binds a socket of its own to the address and closes it again. Errors: UNAVAILABLE
// "address 127.0.0.1:7070: already in use".
absl::Status ProbeAddress(const HostPort& address);

}  // namespace kvstore
