// DeleteOperation: the end of a key: one DELETE for each of its parts. Rank 0's deletes them,
// another worker's is over when rank 0's, or an operator, has.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "client/dist/cut.h"
#include "client/dist/dist_operation.h"

namespace kvstore {

class DeleteOperation final : public DistOperation {
 public:
  DeleteOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token)
      : DistOperation(std::move(operation), std::move(token)) {}

  // Called once. May throw std::bad_alloc.
  std::vector<PartAsk> Asks(const Cut& cut) {
    std::vector<PartAsk> asks;
    asks.reserve(cut.parts());
    for (PartIndex part = 0; part < cut.parts(); ++part) Ask(Op::kDelete, part, &asks);
    return asks;
  }
};

}  // namespace kvstore
