#include "client/dist/dist_operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/store/row_values.h"
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
  if (operation.values.empty() || operation.values[0].empty()) return {};
  const NDArray& first = operation.values[0];
  if (operation.values.size() == 1 && first.storage_type() == StorageType::kDefault) {
    return {first.data_as<uint8_t>(), nullptr};
  }
  const std::vector<NDArray> values = AllDense(operation.values);
  if (values.size() == 1) return {values[0].data_as<uint8_t>(), values[0].impl()};
  const auto sum = std::make_shared<Buffer>(values[0].bytes());
  std::vector<const void*> sources;
  sources.reserve(values.size());
  for (const NDArray& value : values) sources.push_back(value.data());
  RoundedFold(operation.spec.dtype, sum->data(), sources.data(), sources.size(),
              static_cast<size_t>(values[0].size()));
  return {sum->data(), sum};
}

DistOperation::DistOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token, Source source,
                             bool rank_0)
    : token_(std::move(token)),
      operation_(std::move(operation)),
      source_(std::move(source)),
      rank_0_(rank_0) {
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

KeySpec DistOperation::WireKeyOf(const KeyOperation& operation) {
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

PartIndex DistOperation::Parts() const {
  const ValueSpec& spec = operation_->spec;
  return spec.row_sparse ? RowShapeOf(spec.shape, spec.dtype).stripes : PartCount(spec.bytes);
}

std::vector<PartRequest> DistOperation::Requests() {
  const bool waits = operation_->kind == OperationKind::kInit && !rank_0_;
  std::vector<PartRequest> requests = RequestsOf(0, waits ? 1 : Parts());
  open_ = requests.size();
  return requests;
}

std::vector<PartRequest> DistOperation::RequestsOf(PartIndex begin, PartIndex end) {
  const KeyOperation& operation = *operation_;
  const bool init = operation.kind == OperationKind::kInit;
  const KeySpec key = init ? WireKeyOf(operation) : KeySpec();
  const bool push =
      operation.kind == OperationKind::kPush || operation.kind == OperationKind::kPushPull;
  const bool pull =
      operation.kind == OperationKind::kPull || operation.kind == OperationKind::kPushPull;
  if (in_place_) loans_.resize(end);

  std::vector<PartRequest> requests;
  const auto add = [&](Op op, PartIndex part, bool with_bytes) {
    PartRequest& request = requests.emplace_back();
    request.op = op;
    request.id = {operation.key->id, part};
    request.priority = operation.priority;
    request.step = operation.step;
    if (op == Op::kInit) request.key = key;
    if (with_bytes) request.data = Payload(SliceOf(part));
  };
  requests.reserve((end - begin) * (size_t{init} + size_t{push} + size_t{pull}));
  for (PartIndex part = begin; part < end; ++part) {
    if (init) add(Op::kInit, part, rank_0_);
    if (push) add(Op::kPush, part, true);
    if (pull) add(Op::kPull, part, false);
  }
  return requests;
}

std::vector<PartRequest> DistOperation::OnPart(Op op, size_t, const Completion& completion) {
  absl::Status status = completion.status;
  std::vector<PartRequest> next;
  if (op == Op::kInit && rank_0_) undo_.Noted(completion);
  if (op == Op::kDrop) status_ = InitUndo::Joined(status_, completion);
  if (op == Op::kInit && !rank_0_ && completion.id.part == 0) {
    if (status.ok() && !operation_->spec.known) status = Learn(completion.key.get());
    if (status.ok()) next = RequestsOf(1, Parts());
    open_ += next.size();
  }
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
  if (--open_ > 0) return next;
  if (!status_.ok()) next = undo_.Requests();
  open_ = next.size();
  if (open_ == 0) token_->Finish(status_);
  return next;
}

absl::Status DistOperation::Learn(const KeySpec* key) {
  const std::string& label = operation_->key->label;
  if (key == nullptr) {
    return absl::InternalError(fmt::format("{}: the server did not describe it", label));
  }
  const absl::StatusOr<int64_t> elements = ElementCount(key->shape);
  const bool row_sparse = key->storage == Storage::kRowSparse;
  if (!elements.ok() || DTypeBytes(key->dtype) == 0 || (row_sparse && key->shape.empty())) {
    return absl::InternalError(
        fmt::format("{}: an array expected, the server describes dtype {}, shape {}, storage {}",
                    label, static_cast<uint32_t>(key->dtype), ShapeString(key->shape),
                    static_cast<uint32_t>(key->storage)));
  }
  ValueSpec& spec = operation_->spec;
  spec.known = true;
  spec.dtype = key->dtype;
  spec.shape = key->shape;
  spec.row_sparse = row_sparse;
  spec.bytes = static_cast<uint64_t>(*elements) * DTypeBytes(key->dtype);
  operation_->learned.store(true, std::memory_order_release);
  return absl::OkStatus();
}

// What comes from the network is not trusted to fit.
absl::Status DistOperation::CheckPulled(const Completion& completion) const {
  const ValueSpec& spec = operation_->spec;
  const PartIndex part = completion.id.part;
  const size_t expected = PartBytes(spec.bytes, part);
  if (completion.data.size() == expected) return absl::OkStatus();
  return absl::InternalError(fmt::format(
      "{} part {}: {} bytes expected for shape {}, the server sent {}", operation_->key->label,
      part, expected, ShapeString(spec.shape), completion.data.size()));
}

void DistOperation::Write(PartIndex part, const Payload& data) const {
  for (const NDArray& output : operation_->outputs) {
    data.CopyTo(output.data_as<uint8_t>() + PartOffset(part));
  }
}

}  // namespace kvstore
