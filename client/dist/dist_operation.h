// DistOperation: what the verbs of a dist store have in common. A verb (Init, Push, Pull) on one
// key is some requests about parts of its value; it is over when all of them are, and those that
// they lead to. The first that fails says how it ends; the others are waited for all the same,
// because they refer to the caller's arrays.
//
//   InitOperation       rank 0's Init, which brings the value
//   AwaitInitOperation  another worker's, which waits for it
//   PushOperation       a contribution; also the first half of a PushPull
//   PullOperation       a pull of a value or of rows; also the second half of a PushPull
//
// Threading: made, and asked for its requests, on any thread; OnPart on the session's loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "client/dist/part_sink.h"
#include "client/order/dependency_engine.h"
#include "client/store/store_backend.h"

namespace kvstore {

class DistOperation : public PartSink {
 public:
  uint64_t operation_id() const final { return token_->id(); }
  std::vector<PartRequest> OnPart(Op op, size_t index, const Completion& completion) final;

 protected:
  // `token`: finished by this object, once, and held for as long as anything of the operation is
  // under way. The two halves of a PushPull share one: it completes when both are over, and the
  // first failure of either counts.
  DistOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token);

  KeyOperation& operation() const { return *operation_; }
  const TokenPtr& token() const { return token_; }
  // A request of the operation about one part, still without what the verb adds.
  PartRequest RequestFor(Op op, PartIndex part) const;
  // To be called once, with the first requests that are sent, before they are.
  void Expect(size_t requests) { open_ = requests; }

  // One request is over. Returns its outcome as the operation sees it; what is to be asked next
  // goes to `next`.
  virtual absl::Status Take(Op op, size_t index, const Completion& completion,
                            std::vector<PartRequest>* next);
  // All requests are over, and so is the operation, unless more are returned: then it is called
  // again when these are.
  virtual std::vector<PartRequest> AllTaken() { return {}; }

  // Loop: the first failure.
  absl::Status status_;

 private:
  // First, so that it goes last: when the operation completes its arrays are free.
  const TokenPtr token_;
  const std::shared_ptr<KeyOperation> operation_;
  size_t open_ = 0;  // loop
};

// What an Init tells the servers of its key.
KeySpec KeySpecOf(const KeyOperation& operation);

}  // namespace kvstore
