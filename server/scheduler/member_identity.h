// What a node may register as, by its certificate. Pure.
#pragma once

#include "absl/status/status.h"
#include "common/tls/identity.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

// A worker's certificate lets a node be a worker or a reader, a server's a server, an operator's
// anything. One that is pinned to a rank asks for that rank, whose wish is filled in where it is
// not said. Errors: PERMISSION_DENIED names the certificate, what it is for, and what was asked.
absl::Status CheckRegistration(const Identity& caller, v1::Register* wish);

}  // namespace kvstore
