// InitOperation: rank 0's Init of a key, which brings the value. If a server refuses a part of it,
// all parts are taken back (client/core/init_undo.h), so that a failed Init leaves nothing behind.
#pragma once

#include <memory>
#include <vector>

#include "client/core/init_undo.h"
#include "client/dist/cut.h"
#include "client/dist/dist_operation.h"

namespace kvstore {

class InitOperation final : public DistOperation {
 public:
  InitOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token)
      : DistOperation(std::move(operation), std::move(token)) {}

  // Called once. May throw std::bad_alloc. `value`: null if it comes to be by rule. `compression`:
  // of the key's pushes.
  PartAsks Asks(const Cut& cut, const Contribution* value, const CompressionConfig& compression);

 private:
  absl::Status Take(Op op, size_t index, Completion completion, PartAsks* next) override;
  void AllTaken(PartAsks* next) noexcept override;

  InitUndo undo_;        // loop
  PartAsks take_backs_;  // empty, with room for a request about every part
};

}  // namespace kvstore
