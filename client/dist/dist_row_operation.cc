#include "client/dist/dist_row_operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <numeric>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/dist/dist_operation.h"
#include "client/store/row_values.h"
#include "common/wire/byte_counts.h"

namespace kvstore {

DistRowOperation::DistRowOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token)
    : token_(std::move(token)),
      operation_(std::move(operation)),
      shape_(RowShapeOf(operation_->spec.shape, operation_->spec.dtype)) {}

std::vector<PartRequest> DistRowOperation::Requests() {
  std::vector<PartRequest> requests;
  if (!operation_->values.empty()) AddContribution(&requests);
  first_pull_ = requests.size();
  try {
    AddPulls(&requests);
  } catch (const std::bad_alloc&) {
    DropPulledRows();
    throw;
  }
  open_ = requests.size();
  return requests;
}

void DistRowOperation::DropPulledRows() const {
  if (operation_->kind != OperationKind::kPullRows) return;
  for (const NDArray& output : operation_->outputs) output.impl()->SetRows({});
}

PartRequest DistRowOperation::RequestFor(Op op, PartIndex stripe) const {
  PartRequest request;
  request.op = op;
  request.id = {operation_->key->id, stripe};
  request.priority = operation_->priority;
  request.step = operation_->step;
  return request;
}

void DistRowOperation::AddContribution(std::vector<PartRequest>* requests) const {
  const std::vector<NDArray>& values = operation_->values;
  const ValueSpec& spec = operation_->spec;
  const bool init = operation_->kind == OperationKind::kInit;
  const Rows rows = values.size() == 1 ? RowsOf(values[0]) : RowsOf(spec, FoldRows(spec, values));
  const KeySpec key = init ? DistOperation::WireKeyOf(*operation_) : KeySpec();
  for (RowFragment& fragment : CutRows(shape_, rows)) {
    PartRequest request = RequestFor(init ? Op::kInit : Op::kPush, fragment.stripe);
    if (fragment.data != nullptr) request.data = Payload(std::move(fragment.data));
    request.rows = fragment.rows;
    request.fragment = fragment.fragment;
    request.fragments = fragment.fragments;
    request.create = init;
    if (init) request.key = key;
    requests->push_back(std::move(request));
  }
}

void DistRowOperation::AddPulls(std::vector<PartRequest>* requests) {
  const std::vector<NDArray>& outputs = operation_->outputs;
  if (outputs.empty()) return;
  if (operation_->kind != OperationKind::kPullRows) {
    std::vector<int64_t> all(static_cast<size_t>(shape_.rows));
    std::iota(all.begin(), all.end(), int64_t{0});
    AddPull(all, outputs, requests);
    return;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto same = [&](const NDArray& later) { return later.impl() == outputs[i].impl(); };
    const auto after = outputs.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    if (std::any_of(after, outputs.end(), same)) continue;  // the last one would stay
    const std::vector<int64_t>& ids = operation_->row_ids[i].ids;
    outputs[i].impl()->SetRows(ids);
    AddPull(ids, {outputs[i]}, requests);
  }
}

void DistRowOperation::AddPull(const std::vector<int64_t>& ids, const std::vector<NDArray>& outputs,
                               std::vector<PartRequest>* requests) {
  for (RowQuestion& question : CutIds(shape_, ids)) {
    PartRequest request = RequestFor(Op::kPull, question.stripe);
    request.data = Payload(std::move(question.ids));
    request.rows = question.rows;
    requests->push_back(std::move(request));
    answers_.push_back({question.rows, std::move(question.places), outputs});
  }
}

std::vector<PartRequest> DistRowOperation::OnPart(Op op, size_t index,
                                                  const Completion& completion) {
  absl::Status status = completion.status;
  if (op == Op::kInit) undo_.Noted(completion);
  if (op == Op::kDrop) status_ = InitUndo::Joined(status_, completion);
  if (op == Op::kPull && status.ok()) status = Write(answers_[index - first_pull_], completion);
  if (status_.ok() && !status.ok()) status_ = std::move(status);
  if (--open_ > 0) return {};
  if (!status_.ok()) DropPulledRows();
  std::vector<PartRequest> next;
  if (!status_.ok()) next = undo_.Requests();
  open_ = next.size();
  if (open_ == 0) token_->Finish(status_);
  return next;
}

// What comes from the network is not trusted to fit.
absl::Status DistRowOperation::Write(const Answer& answer, const Completion& completion) const {
  const size_t expected = answer.rows * shape_.row_bytes;
  if (completion.data.size() != expected) {
    return absl::InternalError(fmt::format(
        "{} stripe {}: {} bytes expected for {} rows, the server sent {}", operation_->key->label,
        completion.id.part, expected, answer.rows, completion.data.size()));
  }
  for (const NDArray& output : answer.outputs) {
    PayloadCursor cursor(completion.data);
    for (const size_t place : answer.places) {
      cursor.Read(output.data_as<uint8_t>() + place * shape_.row_bytes, shape_.row_bytes);
    }
    CountCopiedBytes(expected);
  }
  return absl::OkStatus();
}

}  // namespace kvstore
