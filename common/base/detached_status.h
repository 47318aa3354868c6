// Statuses that go from one thread to another. Copies of an absl::Status share their message and
// count references inside of a library that ThreadSanitizer does not see into: it takes the last
// owner's delete for a race with the others' reads.
#pragma once

#include "absl/status/status.h"

namespace kvstore {

// Equal to `status` (payloads aside), sharing nothing with it.
inline absl::Status Detached(const absl::Status& status) {
  return absl::Status(status.code(), status.message());
}

}  // namespace kvstore
