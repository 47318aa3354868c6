#include "client/dist/dist_operation.h"

#include <utility>

namespace kvstore {

DistOperation::DistOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token)
    : token_(std::move(token)), operation_(std::move(operation)) {}

PartRequest DistOperation::RequestFor(Op op, PartIndex part) const {
  PartRequest request;
  request.op = op;
  request.id = {operation_->key->id, part};
  request.priority = operation_->priority;
  request.step = operation_->step;
  return request;
}

absl::Status DistOperation::Take(Op, size_t, const Completion& completion,
                                 std::vector<PartRequest>*) {
  return completion.status;
}

std::vector<PartRequest> DistOperation::OnPart(Op op, size_t index, const Completion& completion) {
  std::vector<PartRequest> next;
  absl::Status status = Take(op, index, completion, &next);
  if (status_.ok() && !status.ok()) status_ = std::move(status);
  open_ += next.size();
  if (--open_ > 0) return next;
  next = AllTaken();
  open_ = next.size();
  if (open_ == 0) token_->Finish(status_);
  return next;
}

KeySpec KeySpecOf(const KeyOperation& operation) {
  const ValueSpec& spec = operation.spec;
  KeySpec key;
  key.key = operation.key->id;
  key.name = operation.key->name;
  key.shape_unknown = !spec.known;
  if (spec.known) {
    key.dtype = spec.dtype;
    key.shape = spec.shape;
    key.storage = spec.row_sparse ? Storage::kRowSparse : Storage::kDense;
  }
  return key;
}

}  // namespace kvstore
