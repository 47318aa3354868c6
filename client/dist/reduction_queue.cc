#include "client/dist/reduction_queue.h"

#include <fmt/format.h>

#include <new>
#include <utility>

#include "client/base/no_memory.h"

namespace kvstore {

void ReductionQueue::Reduce(std::shared_ptr<const KeyOperation> operation, const TokenPtr& token,
                            Done done) {
  const KeyId key = operation->key->id;
  const int priority = operation->priority;
  queue_.Add(key, priority,
             [this, token, operation = std::move(operation), order = token->HoldOrder(),
              done = std::move(done)](bool run) {
               if (!run) {
                 return done(WordedStatus(absl::StatusCode::kCancelled,
                                          [] { return "the store was destroyed"; }));
               }
               done(Reduced(*operation));
             });
}

absl::StatusOr<Contribution> ReductionQueue::Reduced(const KeyOperation& operation) {
  try {
    return reducer_->Reduce(operation);
  } catch (const std::bad_alloc&) {
    return WordedStatus(absl::StatusCode::kResourceExhausted, [&] {
      return fmt::format("{}: memory for a sum of shape {} of {} expected, there is too little",
                         operation.key->label, ShapeString(operation.spec.shape),
                         DTypeName(operation.spec.dtype));
    });
  }
}

}  // namespace kvstore
