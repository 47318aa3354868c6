// Reducer: the seam where the values that one call names for a key, each in the memory of its
// context, become one contribution. CpuReducer (cpu_reducer.h) is for values in host memory; one
// for values on devices has the same interface.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "client/dist/contribution.h"
#include "client/order/dependency_engine.h"
#include "client/store/store_backend.h"

namespace kvstore {

// Thread-safe.
class Reducer {
 public:
  using Done = std::function<void(absl::StatusOr<Contribution>)>;

  virtual ~Reducer() = default;

  // The contribution of an operation that brings one array which can be sent as it is: lent, and
  // kept by `token`. Nothing for all others, for which Reduce is to be called.
  virtual std::optional<Contribution> AsIs(const KeyOperation& operation,
                                           const TokenPtr& token) const = 0;

  // Sums the operation's values, which are one or more arrays of the key's dtype and shape, of
  // either storage: the left fold in list order, rounded once to the key's dtype.
  // Calls `done` once, later, on a thread of the reducer, so that neither the caller nor the
  // session's loop waits for arithmetic. Until `done` has returned it holds the operation's order
  // (`token`): later operations on the key are not issued, so that none overtakes this one.
  // Errors, passed to `done`: RESOURCE_EXHAUSTED no memory for a sum; CANCELLED after Stop.
  virtual void Reduce(std::shared_ptr<const KeyOperation> operation, const TokenPtr& token,
                      Done done) = 0;

  // Whether the calling thread is the reducer's own.
  virtual bool InThread() const = 0;
  // Waits for what is being summed; the rest, and whatever still comes, is CANCELLED. Not from the
  // reducer's own thread.
  virtual void Stop() = 0;
};

}  // namespace kvstore
