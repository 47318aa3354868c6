// GroupOperation: pushes of, or pulls into, many small arrays, one key each, as one group of the
// dependency engine (KeyGroup): one object and one token for all of them, while each ends by
// itself, with its own outcome.
//
// What is pushed is copied, into one piece of memory for all: the frame would copy it anyway. What
// is pulled is written straight into the arrays.
//
// Threading: made, and asked for its requests, on any thread; OnPart and Told on the session's
// loop.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "client/dist/part_sink.h"
#include "client/order/dependency_engine.h"
#include "client/store/store_backend.h"
#include "common/tensor/buffer.h"

namespace kvstore {

class GroupOperation final : public PartSink, public std::enable_shared_from_this<GroupOperation> {
 public:
  // Takes what the group has. May throw std::bad_alloc, as may Asks().
  GroupOperation(KeyGroup* group, TokenPtr token);

  // What is asked. Called once.
  PartAsks Asks();

  PartAsks OnPart(Op op, size_t index, Completion completion) noexcept override;
  void Told() noexcept override;
  uint64_t operation_id() const override { return token_->id(); }

 private:
  // What became of a request, with the value that a pull brings in its array.
  absl::Status Take(const KeyGroup::Member& member, const Completion& completion) const;

  const TokenPtr token_;
  const OperationKind kind_;
  const int priority_;
  const uint64_t step_;
  std::vector<KeyGroup::Member> members_;
  // Those that have ended and of which the engine is still to be told; with room for all.
  std::vector<OperationToken::Ended> ended_;
};

}  // namespace kvstore
