#include "client/dist/reduction_queue.h"

#include <fmt/format.h>

#include <new>
#include <utility>

#include "client/base/no_memory.h"
#include "client/reduce/device_reducer.h"
#include "client/store/argument_checks.h"
#include "common/base/status_macros.h"

namespace kvstore {

void ReductionQueue::Reduce(std::shared_ptr<KeyOperation> operation, const TokenPtr& token,
                            NanGuard* guard, Done done) {
  const KeyId key = operation->key->id;
  const int priority = operation->priority;
  queue_.Add(key, priority,
             [this, token, guard, operation = std::move(operation), order = token->HoldOrder(),
              done = std::move(done)](bool run) {
               if (!run) {
                 return done(WordedStatus(absl::StatusCode::kCancelled,
                                          [] { return "the store was destroyed"; }));
               }
               done(Reduced(operation.get(), guard));
             });
}

absl::StatusOr<Contribution> ReductionQueue::Reduced(KeyOperation* operation, NanGuard* guard) {
  try {
    if (guard != nullptr) {
      KVS_RETURN_IF_ERROR(BringToHost(operation));
      KVS_RETURN_IF_ERROR(guard->Admit(operation));
    }
    auto contribution = reducer_->Reduce(*operation);
    if (!contribution.ok()) return Named(operation->key->label, contribution.status());
    return contribution;
  } catch (const std::bad_alloc&) {
    return WordedStatus(absl::StatusCode::kResourceExhausted, [&] {
      return fmt::format("{}: memory for a sum of shape {} of {} expected, there is too little",
                         operation->key->label, ShapeString(operation->spec.shape),
                         DTypeName(operation->spec.dtype));
    });
  }
}

}  // namespace kvstore
