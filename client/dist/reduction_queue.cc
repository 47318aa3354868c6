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
                            Helpers helpers, Done done) {
  const KeyId key = operation->key->id;
  const int priority = operation->priority;
  queue_.Add(key, priority,
             [this, token, helpers, operation = std::move(operation), order = token->HoldOrder(),
              done = std::move(done)](bool run) {
               if (!run) {
                 return done(WordedStatus(absl::StatusCode::kCancelled,
                                          [] { return "the store was destroyed"; }));
               }
               done(Reduced(operation.get(), helpers));
             });
}

absl::StatusOr<Contribution> ReductionQueue::Reduced(KeyOperation* operation,
                                                     const Helpers& helpers) {
  try {
    if (helpers.guard != nullptr) {
      KVS_RETURN_IF_ERROR(BringToHost(operation));
      KVS_RETURN_IF_ERROR(helpers.guard->Admit(operation));
    }
    if (helpers.codec != nullptr) {
      auto encoded = helpers.codec->EncodeOnDevices(*operation, reducer_->threads());
      if (!encoded.ok()) return Named(operation->key->label, encoded.status());
      if (*encoded) return **std::move(encoded);
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
