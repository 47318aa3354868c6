// KeyReport: what `kvctl stats`, `keys`, `delete` and `reset` show, from the answers of the
// servers. Pure.
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

// What kvctl keys shows: a line for each key, without a look at the numbers in it; and as one JSON
// object on one line: keys [{key, dtype, storage, shape, parts, version}], more, errors.
std::string KeyListAsTable(const KeyAnswers& answers);
std::string KeyListAsJson(const KeyAnswers& answers);

// The servers' answers to kvctl delete, likewise.
using DeleteAnswers = std::map<uint32_t, absl::StatusOr<v1::DeletedKeys>>;
// A line for each key: which one, and how many parts of it were deleted, or would be; and as JSON:
// deleted [{key, parts}], dry_run, errors.
std::string DeletedAsTable(const DeleteAnswers& answers, bool dry_run);
std::string DeletedAsJson(const DeleteAnswers& answers, bool dry_run);
// The same of kvctl reset; in JSON "reset" in place of "deleted".
std::string ResetAsTable(const DeleteAnswers& answers, bool dry_run);
std::string ResetAsJson(const DeleteAnswers& answers, bool dry_run);

}  // namespace kvstore
