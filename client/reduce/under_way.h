// UnderWay: the second half of what a Reducer does for a range of a value, where devices do a part
// of it: while they do, the thread that began it does something else. RunAhead does so for all
// ranges of a value: a thread begins its next one before it finishes the one before.
#pragma once

#include <cstddef>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/reduce/block_threads.h"

namespace kvstore {

// Destroyed without Finish it is given up. Either way nothing is read or written for it when the
// destructor has returned.
class UnderWay {
 public:
  virtual ~UnderWay() = default;
  // Called once at most. Returns when all is done, or cannot be.
  virtual absl::Status Finish() = 0;
};
// Null: there is no second half, all is done.
using UnderWayPtr = std::unique_ptr<UnderWay>;

absl::Status FinishIfAny(absl::StatusOr<UnderWayPtr> begun);

// As threads->Run, of blocks in two halves: `begin` returns the second one. When it returns nothing
// is under way any more, also after an error.
absl::Status RunAhead(
    BlockThreads* threads, size_t blocks,
    absl::FunctionRef<absl::StatusOr<UnderWayPtr>(size_t block, size_t seat)> begin);

}  // namespace kvstore
