// ReductionQueue: the thread on which a dist store's Reducer sums, so that neither callers nor the
// session's loop wait for arithmetic: keys of a higher priority first, the operations of a key in
// their order (WorkQueue).
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "client/dist/part_codec.h"
#include "client/order/dependency_engine.h"
#include "client/order/work_queue.h"
#include "client/reduce/contribution.h"
#include "client/reduce/reducer.h"
#include "client/store/nan_guard.h"
#include "client/store/store_backend.h"

namespace kvstore {

// Thread-safe.
class ReductionQueue {
 public:
  using Done = std::function<void(absl::StatusOr<Contribution>)>;

  // `reducer` outlives it, and is used by its thread.
  explicit ReductionQueue(Reducer* reducer) : reducer_(reducer), queue_("kvs-sums") {}

  // Who works on an operation besides the reducer.
  struct Helpers {
    // Who is still to admit it: one that brings what GPUs have, which is brought to the host first.
    NanGuard* guard = nullptr;
    // Who encodes what is pushed, and may do that on GPUs.
    PartCodec* codec = nullptr;
  };
  // Calls `done` once, later, with what `helpers`, each of which may be null, and reducer->Reduce
  // make of the operation. Until `done` has
  // returned it holds the operation's order (`token`): later operations on the key are not issued,
  // so that none overtakes this one.
  // Errors, passed to `done`: those of Reduce, of the guard and of the codec; RESOURCE_EXHAUSTED no
  // memory for a sum; CANCELLED after Stop.
  void Reduce(std::shared_ptr<KeyOperation> operation, const TokenPtr& token, Helpers helpers,
              Done done);

  // Whether the calling thread is the queue's own.
  bool InThread() const { return queue_.InTask(); }
  // Waits for what is being summed; the rest, and whatever still comes, is CANCELLED. Not from the
  // queue's own thread.
  void Stop() { queue_.Stop(); }

 private:
  absl::StatusOr<Contribution> Reduced(KeyOperation* operation, const Helpers& helpers);

  Reducer* const reducer_;
  WorkQueue queue_;
};

}  // namespace kvstore
