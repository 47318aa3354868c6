// DistOperation: what the verbs of a dist store have in common. A verb (Init, Push, Pull) on one
// key makes some requests about parts of the key's value, and perhaps more when these are answered;
// it is over when all of them are. It ends with the first failure among them; but also after a
// failure it waits for all, because they refer to the caller's arrays.
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

class DistOperation : public PartSink, public std::enable_shared_from_this<DistOperation> {
 public:
  uint64_t operation_id() const final { return token_->id(); }
  PartAsks OnPart(Op op, size_t index, Completion completion) noexcept final;

 protected:
  // `token`: finished by this object, once, and held for as long as anything of the operation is
  // under way. The two halves of a PushPull share one: it completes when both are over, and the
  // first failure of either counts.
  DistOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token);

  KeyOperation& operation() const { return *operation_; }
  const TokenPtr& token() const { return token_; }
  // Appends a request about one part to what will be asked, and returns it, for what the verb adds.
  // The first ones have the indices 0, 1, 2 …, which later ones go on from.
  PartRequest& Ask(Op op, PartIndex part, PartAsks* asks);

  // Called when one request is over. Returns its outcome as the operation sees it; appends to
  // `next` what is to be asked then.
  // May throw std::bad_alloc: then the outcome is code_without_memory().
  virtual absl::Status Take(Op op, size_t index, Completion completion, PartAsks* next);
  // RESOURCE_EXHAUSTED promises that nothing has happened.
  virtual absl::StatusCode code_without_memory() const {
    return absl::StatusCode::kResourceExhausted;
  }
  // Called when all requests are over. If it appends more to `next`, it is called again when those
  // are over; else the operation is complete.
  virtual void AllTaken(PartAsks* /*next*/) noexcept {}

  // Loop: the first failure.
  absl::Status status_;

 private:
  // Declared first, so that it is destroyed last: when the operation completes, its arrays are
  // free.
  const TokenPtr token_;
  const std::shared_ptr<KeyOperation> operation_;
  // How many requests were made, and how many are over. Used by the thread that makes the first
  // requests until they are sent, then by the loop.
  size_t asked_ = 0;
  size_t over_ = 0;
};

// The outputs of a pull of rows that failed hold none of them: rather none than some. Of other
// operations nothing.
void DropRows(const KeyOperation& operation) noexcept;

// What an Init tells the servers of its key, whose pushes are compressed like this.
KeySpec KeySpecOf(const KeyOperation& operation, const CompressionConfig& compression);

}  // namespace kvstore
