#include "client/dist/await_init_operation.h"

#include <fmt/format.h>

#include <memory>

#include "client/dist/any_cut.h"
#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"

namespace kvstore {

PartAsks AwaitInitOperation::Asks() {
  PartAsks asks;
  Ask(Op::kInit, 0, &asks).key = std::make_shared<KeySpec>(KeySpecOf(operation(), compression_));
  return asks;
}

absl::Status AwaitInitOperation::Take(Op, size_t, Completion completion, PartAsks* next) {
  absl::Status status = completion.status;
  if (completion.id.part != 0 || !status.ok()) return status;
  if (!operation().spec.known) status = Learn(completion.key.get());
  if (!status.ok()) return status;
  const PartIndex parts = AnyCut(operation().spec)->parts();
  const auto key = std::make_shared<KeySpec>(KeySpecOf(operation(), compression_));
  for (PartIndex part = 1; part < parts; ++part) Ask(Op::kInit, part, next).key = key;
  return status;
}

// What comes from the network is not trusted to make sense.
absl::Status AwaitInitOperation::Learn(const KeySpec* key) const {
  const std::string& label = operation().key->label;
  if (key == nullptr) {
    return absl::InternalError(fmt::format("{}: the server did not describe it", label));
  }
  const bool row_sparse = key->storage == Storage::kRowSparse;
  const absl::StatusOr<int64_t> elements =
      row_sparse ? RowSparseElementCount(key->shape) : ElementCount(key->shape);
  if (!elements.ok() || DTypeBytes(key->dtype) == 0 || (row_sparse && key->shape.empty())) {
    return absl::InternalError(
        fmt::format("{}: an array expected, the server describes dtype {}, shape {}, storage {}",
                    label, static_cast<uint32_t>(key->dtype), ShapeString(key->shape),
                    static_cast<uint32_t>(key->storage)));
  }
  if (reading_ != nullptr) {
    const absl::Status codec = reading_->Learn(operation().key->id, key->compression);
    if (!codec.ok()) {
      return absl::InternalError(fmt::format("{}: the server says how it is compressed: {}", label,
                                             std::string(codec.message())));
    }
  }
  ValueSpec& spec = operation().spec;
  spec.known = true;
  spec.dtype = key->dtype;
  spec.shape = key->shape;
  spec.row_sparse = row_sparse;
  spec.bytes = static_cast<uint64_t>(*elements) * DTypeBytes(key->dtype);
  operation().learned.store(true, std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace kvstore
