// What a server may say of where workers reach it. Pure.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace kvstore {

// `address`: what the server advertises, HOST:PORT. `peer`: MessageStream::peer() of the session on
// which it says so. A server that comes from another host than the scheduler's must not advertise a
// loopback address, nor 0.0.0.0 or [::]: workers would look for it on their own hosts, in vain.
// Errors: INVALID_ARGUMENT names both addresses and what to do.
absl::Status CheckAdvertisedAddress(const std::string& address, const std::string& peer);

}  // namespace kvstore
