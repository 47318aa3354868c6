// Reading a value as kvctl get does: which key is meant, and its numbers, piece by piece, from all
// servers.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cluster_ask.h"
#include "common/transport/transport.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

// Of `names` the ones most like `name`, the nearest first, at most three: those that differ from it
// in few letters, or begin with it.
std::vector<std::string> NearestNames(const std::string& name,
                                      const std::vector<std::string>& names);

// The key of that name, an int key by its number; its parts on all servers, and the lowest version.
// Errors: NOT_FOUND names the nearest ones; FAILED_PRECONDITION: a string key and an int key have
// it; those of a server that does not answer.
absl::StatusOr<v1::KeyStats> FindKey(Transport& transport, const ClusterAsk& ask,
                                     const std::string& name);

// Reads what `range` names (its key, parts and rows), server by server, and hands it on. Adds to
// `versions` those of the pieces. Errors: those of asking, and of `take`, which ends it.
using TakePiece = std::function<absl::Status(const v1::KeyPiece& piece)>;
absl::Status ReadKey(Transport& transport, const ClusterAsk& ask, v1::ReadKeyRequest range,
                     std::set<uint64_t>* versions, const TakePiece& take);

// "version 3"; "parts of versions 3 and 4"; "parts of versions 3, 4 and 9".
std::string VersionsText(const std::set<uint64_t>& versions);

}  // namespace kvstore
