// DistRowOperation: one operation on one row_sparse key of a dist store, as requests about its
// stripes, and what becomes of them. (The Init of a worker that brings no value is a DistOperation:
// it asks after every stripe without bytes.)
//
// What is contributed is a copy, sorted by stripe; rows that are pulled are written straight into
// the outputs.
//
// Threading: made on any thread; OnPart on the session's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/init_undo.h"
#include "client/dist/dist_session.h"
#include "client/order/dependency_engine.h"
#include "client/store/row_requests.h"
#include "client/store/store_backend.h"

namespace kvstore {

class DistRowOperation final : public PartSink {
 public:
  DistRowOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token);

  // Called once. Copies what is contributed and makes room for the rows that are pulled. Without
  // requests (a pull of no rows) the operation is over. May throw std::bad_alloc; then the outputs
  // of a pull of rows have none.
  std::vector<PartRequest> Requests();

  uint64_t operation_id() const override { return token_->id(); }
  std::vector<PartRequest> OnPart(Op op, size_t index, const Completion& completion) override;

 private:
  // What a pull's reply fills.
  struct Answer {
    uint32_t rows = 0;
    std::vector<size_t> places;
    std::vector<NDArray> outputs;
  };

  // Rather none than some of the rows.
  void DropPulledRows() const;
  void AddContribution(std::vector<PartRequest>* requests) const;
  void AddPulls(std::vector<PartRequest>* requests);
  void AddPull(const std::vector<int64_t>& ids, const std::vector<NDArray>& outputs,
               std::vector<PartRequest>* requests);
  PartRequest RequestFor(Op op, PartIndex stripe) const;
  absl::Status Write(const Answer& answer, const Completion& completion) const;

  // First, so that it goes last: when the operation completes its arrays are free.
  const TokenPtr token_;
  const std::shared_ptr<KeyOperation> operation_;
  const RowShape shape_;
  std::vector<Answer> answers_;  // in the order of the pulls, which are the last requests
  size_t first_pull_ = 0;
  // Loop.
  InitUndo undo_;
  size_t open_ = 0;
  absl::Status status_;
};

}  // namespace kvstore
