// KeyReport: what `kvctl stats` shows, from the answers of the servers. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

// The servers' answers by rank; of a server that did not answer, the error.
using KeyAnswers = std::map<uint32_t, absl::StatusOr<v1::ServerKeyStats>>;

// A line for each key, its parts on all servers taken together.
std::string KeysAsTable(const KeyAnswers& answers);

// The same as one JSON object on one line; fields are added, never renamed:
//   keys    [{key, parts, version, pushes, failures, elements, norm, absmax, not_finite, and where
//           servers have --key-stats sum_norm, sum_absmax, sum_not_finite: of the last round's
//           sum}]
//   more    keys that were not told, at least; errors [text]
std::string KeysAsJson(const KeyAnswers& answers);

}  // namespace kvstore
