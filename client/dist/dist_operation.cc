#include "client/dist/dist_operation.h"

#include <new>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"

namespace kvstore {

DistOperation::DistOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token)
    : token_(std::move(token)), operation_(std::move(operation)) {}

PartRequest& DistOperation::Ask(Op op, PartIndex part, PartAsks* asks) {
  PartAsk& ask = asks->emplace_back();
  ask.sink = shared_from_this();
  ask.index = asked_++;
  PartRequest& request = ask.request;
  request.op = op;
  request.id = {operation_->key->id, part};
  request.priority = operation_->priority;
  request.step = operation_->step;
  return request;
}

absl::Status DistOperation::Take(Op, size_t, Completion completion, PartAsks*) {
  return std::move(completion.status);
}

PartAsks DistOperation::OnPart(Op op, size_t index, Completion completion) noexcept {
  PartAsks next;
  absl::Status status;
  try {
    // The refusal of a part keeps its code, and says what has become of the key.
    if (completion.key_failed && !status_.ok()) {
      status_ = absl::Status(status_.code(), completion.status.message());
    }
    status = Take(op, index, std::move(completion), &next);
  } catch (const std::bad_alloc&) {
    status = WordedStatus(code_without_memory(), [this] {
      return operation_->key->label + ": memory for an answer expected, there is too little";
    });
  }
  if (status_.ok() && !status.ok()) status_ = std::move(status);
  ++over_;
  if (over_ == asked_) AllTaken(&next);
  if (over_ == asked_) token_->Finish(status_);
  return next;
}

void DropRows(const KeyOperation& operation) noexcept {
  if (operation.kind != OperationKind::kPullRows) return;
  for (const NDArray& output : operation.outputs) output.impl()->SetRows({});
}

KeySpec KeySpecOf(const KeyOperation& operation, const CompressionConfig& compression) {
  const ValueSpec& spec = operation.spec;
  KeySpec key;
  key.key = operation.key->id;
  key.name = operation.key->name;
  key.shape_unknown = !spec.known;
  key.compression = compression;
  key.nan_policy = operation.nan_policy;
  if (operation.rule != nullptr) key.rule = *operation.rule;
  if (spec.known) {
    key.dtype = spec.dtype;
    key.shape = spec.shape;
    key.storage = spec.row_sparse ? Storage::kRowSparse : Storage::kDense;
  }
  return key;
}

}  // namespace kvstore
