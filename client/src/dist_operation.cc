#include "client/src/dist_operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "client/src/ndarray_impl.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/kernels.h"
#include "common/tensor/buffer.h"

namespace kvstore {

// A part of the caller's array in the hands of the core and the transport, while the same place
// waits for the bytes that are pulled. They are written when the last slice is given back.
class DistOperation::Loan {
 public:
  Loan(std::shared_ptr<const DistOperation> operation, PartIndex part)
      : operation_(std::move(operation)), part_(part) {}
  ~Loan() {
    if (!pulled_.empty()) operation_->Write(part_, pulled_);
  }
  // On the loop, which holds a reference: the destructor comes later.
  void WriteWhenReturned(Payload pulled) { pulled_ = std::move(pulled); }

 private:
  const std::shared_ptr<const DistOperation> operation_;
  const PartIndex part_;
  Payload pulled_;
};

DistOperation::Source DistOperation::SourceOf(const KeyOperation& operation) {
  const std::vector<NDArray>& values = operation.values;
  if (values.empty() || values[0].empty()) return {};
  if (values.size() == 1) return {values[0].data_as<uint8_t>(), nullptr};
  const auto sum = std::make_shared<Buffer>(values[0].bytes());
  std::vector<const void*> sources;
  sources.reserve(values.size());
  for (const NDArray& value : values) sources.push_back(value.data());
  LeftFold(operation.spec.dtype, sum->data(), sources.data(), sources.size(),
           static_cast<size_t>(values[0].size()));
  return {sum->data(), sum};
}

DistOperation::DistOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token, Source source)
    : token_(std::move(token)), operation_(std::move(operation)), source_(std::move(source)) {
  const std::vector<NDArray>& outputs = operation_->outputs;
  in_place_ = source_.data != nullptr && source_.copy == nullptr &&
              std::any_of(outputs.begin(), outputs.end(),
                          [&](const NDArray& output) { return output.data() == source_.data; });
}

Slice DistOperation::SliceOf(PartIndex part) {
  Slice slice;
  slice.data = source_.data + PartOffset(part);
  slice.size = PartBytes(operation_->spec.bytes, part);
  if (in_place_) {
    auto loan = std::make_shared<Loan>(shared_from_this(), part);
    loans_[part] = loan;
    slice.owner = std::move(loan);
  } else if (source_.copy != nullptr) {
    slice.owner = source_.copy;
  } else {
    slice.owner = token_;
  }
  return slice;
}

std::vector<PartRequest> DistOperation::Requests(bool is_rank_0, bool after_init) {
  const KeyOperation& operation = *operation_;
  const ValueSpec& spec = operation.spec;
  KeySpec key;
  key.key = operation.key->id;
  key.name = operation.key->name;
  key.shape_unknown = !spec.known;
  if (spec.known) {
    key.dtype = spec.dtype;
    key.shape = spec.shape;
    key.storage = Storage::kDense;
  }
  const bool init = operation.kind == OperationKind::kInit;
  const bool push =
      operation.kind == OperationKind::kPush || operation.kind == OperationKind::kPushPull;
  const bool pull =
      operation.kind == OperationKind::kPull || operation.kind == OperationKind::kPushPull;
  // Of a key whose shape is not known, the first part stands for all: every value has it.
  const PartIndex parts = spec.known ? PartCount(spec.bytes) : 1;
  if (in_place_) loans_.resize(parts);

  std::vector<PartRequest> requests;
  const auto add = [&](Op op, PartIndex part, bool with_bytes) {
    PartRequest& request = requests.emplace_back();
    request.op = op;
    request.id = {key.key, part};
    request.priority = operation.priority;
    request.step = operation.step;
    if (op == Op::kInit) request.key = key;
    if (with_bytes) request.data = Payload(SliceOf(part));
  };
  requests.reserve(parts * (size_t{init} + size_t{after_init} + size_t{push} + size_t{pull}));
  for (PartIndex part = 0; part < parts; ++part) {
    if (init || after_init) add(Op::kInit, part, init && is_rank_0);
    if (push) add(Op::kPush, part, true);
    if (pull) add(Op::kPull, part, false);
  }
  open_ = requests.size();
  return requests;
}

void DistOperation::OnPart(Op op, const Completion& completion) {
  absl::Status status = completion.status;
  if (op == Op::kPull && status.ok()) {
    status = CheckPulled(completion);
    if (status.ok()) {
      const PartIndex part = completion.id.part;
      if (const auto loan = in_place_ ? loans_[part].lock() : nullptr) {
        loan->WriteWhenReturned(completion.data);
      } else {
        Write(part, completion.data);
      }
    }
  }
  if (status_.ok() && !status.ok()) status_ = std::move(status);
  if (--open_ == 0) token_->Finish(status_);
}

// Differs only on a worker that took the shape from its own array.
absl::Status DistOperation::CheckPulled(const Completion& completion) const {
  const ValueSpec& spec = operation_->spec;
  const PartIndex part = completion.id.part;
  const size_t expected = PartBytes(spec.bytes, part);
  if (completion.data.size() == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "{} part {}: {} bytes expected for shape {}, the server has {}", operation_->key->label, part,
      expected, ShapeString(spec.shape), completion.data.size()));
}

void DistOperation::Write(PartIndex part, const Payload& data) const {
  for (const NDArray& output : operation_->outputs) {
    data.CopyTo(output.data_as<uint8_t>() + PartOffset(part));
  }
}

}  // namespace kvstore
