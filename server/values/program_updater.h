// ProgramUpdater: an updater that is not one of ours but code of the program that the server lives
// in (server/embedded).
#pragma once

#include "absl/status/status.h"
#include "common/cluster/identity.h"
#include "common/tensor/buffer.h"
#include "common/wire/frame.h"

namespace kvstore {

// Thread-safe: the shards of a server share one.
class ProgramUpdater {
 public:
  virtual ~ProgramUpdater() = default;

  // Whether the program has one now. Then it takes the place of the optimizer's.
  virtual bool is_set() const = 0;
  // Updates `stored`, a copy of the part's value, from the round's sum, both in the key's dtype.
  // Errors: name the key and what the program's code threw.
  virtual absl::Status Update(const KeySpec& key, PartId part, MutableBufferPtr merged,
                              MutableBufferPtr stored) = 0;
};

}  // namespace kvstore
