// LentParts: the parts of an array in the hands of the core and the transport, while the same array
// waits for what is pulled (PushPull in place). What comes for a part is written as soon as its own
// bytes are back, and not before: a resend must carry the bytes that were pushed.
//
//   part 0 of 2 is lent, sent, and acknowledged; gRPC still holds its slice
//   the new part 0 arrives: it waits
//   gRPC lets go of the slice: the new part 0 is written over the old one
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "client/order/dependency_engine.h"
#include "common/cluster/identity.h"

namespace kvstore {

// Threading: Lend before any of the parts is sent; WhenReturned on one thread at a time. What is
// lent comes back on any thread.
class LentParts {
 public:
  // `token`: that of the operation, which is not complete before every part is back and written.
  LentParts(TokenPtr token, PartIndex parts) : token_(std::move(token)), loans_(parts) {}

  // The owner of the slice of `part`, whose last reference gives the part back. Once per part.
  std::shared_ptr<const void> Lend(PartIndex part);
  // Calls `write` when `part` is back: at once if it is, else on the thread that gives it back.
  void WhenReturned(PartIndex part, std::function<void()> write);

 private:
  class Loan;

  const TokenPtr token_;
  std::vector<std::weak_ptr<Loan>> loans_;  // by part
};

}  // namespace kvstore
