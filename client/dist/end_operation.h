// EndOperation: the end of a key, or of what there is beside its value: one DELETE, or RESET, for
// each of its parts. Rank 0's deletes or resets them, another worker's is over when rank 0's, or an
// operator, has.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "client/dist/cut.h"
#include "client/dist/dist_operation.h"

namespace kvstore {

class EndOperation final : public DistOperation {
 public:
  EndOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token)
      : DistOperation(std::move(operation), std::move(token)) {}

  // Called once. `op`: kDelete or kReset. May throw std::bad_alloc.
  PartAsks Asks(Op op, const Cut& cut) {
    PartAsks asks;
    asks.reserve(cut.parts());
    for (PartIndex part = 0; part < cut.parts(); ++part) Ask(op, part, &asks);
    return asks;
  }
};

}  // namespace kvstore
