// gRPC's own lines in the log of this process, at most one a second.
#pragma once

namespace kvstore {

// For processes that are ours: gRPC has one log for all who use it. Idempotent.
void LogOfGrpc();

}  // namespace kvstore
