#include "client/store/argument_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/store/row_ids.h"
#include "common/kernels/convert.h"
#include "common/kernels/finite.h"
#include "common/rows/row_cut.h"

namespace kvstore {
namespace {

bool IsRowSparse(const NDArray& array) { return array.storage_type() == StorageType::kRowSparse; }

absl::Status CheckThere(const std::string& label, const NDArray& array) {
  if (!array.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}: an array expected, got an empty one", label));
}

absl::Status CheckShape(const std::string& label, const NDArray& array, const ValueSpec& spec) {
  if (array.shape() == spec.shape.get()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "{}: shape {} expected, got {}", label, ShapeString(spec.shape), ShapeString(array.shape())));
}

// Whether rows of a row_sparse key fit into a request.
absl::Status CheckRowBytes(const std::string& label, const ValueSpec& spec) {
  if (!spec.row_sparse) return absl::OkStatus();
  const size_t row_bytes = RowShapeOf(spec.shape, spec.dtype).row_bytes;
  if (row_bytes <= kRowBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: row_sparse rows of at most {} bytes expected, got {} (shape {} of {})",
                  label, kRowBytesMax, row_bytes, ShapeString(spec.shape), DTypeName(spec.dtype)));
}

}  // namespace

const char* NameOf(OperationKind kind) {
  switch (kind) {
    case OperationKind::kInit:
      return "Init";
    case OperationKind::kPush:
      return "Push";
    case OperationKind::kPull:
      return "Pull";
    case OperationKind::kPushPull:
      return "PushPull";
    case OperationKind::kPullRows:
      return "PullRowSparse";
    case OperationKind::kDelete:
      return "Delete";
    case OperationKind::kReset:
      return "Reset";
    case OperationKind::kDescribeState:
    case OperationKind::kStageState:
    case OperationKind::kCommitState:
    case OperationKind::kDropState:
      return "LoadOptimizerStates";
    case OperationKind::kReadState:
      return "SaveOptimizerStates";
  }
  return "operation";
}

absl::Status TooLittleMemory(const std::string& label, const std::string& what) {
  return absl::ResourceExhaustedError(
      fmt::format("{}: memory for {} expected, there is too little", label, what));
}

absl::Status Named(const std::string& label, const absl::Status& status) noexcept {
  if (status.ok()) return status;
  return WordedStatus(status.code(),
                      [&] { return fmt::format("{}: {}", label, std::string(status.message())); });
}

absl::Status CheckLengths(OperationKind kind, size_t keys, size_t arrays, const char* what) {
  if (keys == arrays) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}: as many {} as keys expected, got {} and {}",
                                                NameOf(kind), what, arrays, keys));
}

ValueSpec SpecFrom(const NDArray& array) {
  ValueSpec spec;
  spec.known = true;
  spec.dtype = ToDType(array.dtype());
  spec.shape = array.shape();
  spec.row_sparse = IsRowSparse(array);
  spec.bytes = static_cast<uint64_t>(array.size()) * DTypeBytes(spec.dtype);
  return spec;
}

absl::Status CheckArray(const std::string& label, const NDArray& array, ValueSpec* spec) {
  if (absl::Status there = CheckThere(label, array); !there.ok()) return there;
  if (!spec->known) {
    *spec = SpecFrom(array);
    return absl::OkStatus();
  }
  if (ToDType(array.dtype()) != spec->dtype) {
    return absl::InvalidArgumentError(fmt::format("{}: dtype {} expected, got {}", label,
                                                  DTypeName(spec->dtype),
                                                  DataTypeName(array.dtype())));
  }
  return CheckShape(label, array, *spec);
}

absl::Status CheckOutput(const std::string& label, const NDArray* output, const ValueSpec& spec) {
  if (output == nullptr) {
    return absl::InvalidArgumentError(fmt::format("{}: an output expected, got null", label));
  }
  if (absl::Status there = CheckThere(label, *output); !there.ok()) return there;
  if (output->impl()->read_only) {
    return absl::InvalidArgumentError(
        fmt::format("{}: an output that may be written expected, got a read-only array", label));
  }
  if (!spec.known) return absl::OkStatus();
  if (!Converts(spec.dtype, ToDType(output->dtype()))) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: an output of dtype {}, or of one that {} converts to ({}), expected, got {}", label,
        DTypeName(spec.dtype), DTypeName(spec.dtype),
        MayBeNotFinite(spec.dtype) ? "floats" : "those that hold each of its values",
        DataTypeName(output->dtype())));
  }
  return CheckShape(label, *output, spec);
}

absl::Status CheckInit(const std::string& label, const NDArray& array, bool may_be_empty,
                       ValueSpec* spec) {
  if (array.empty() && may_be_empty) return absl::OkStatus();
  if (absl::Status fits = CheckArray(label, array, spec); !fits.ok()) return fits;
  return CheckRowBytes(label, *spec);
}

absl::Status CheckInitByRule(const std::string& label, const ValueByRule& value, ValueSpec* spec,
                             std::shared_ptr<const InitRuleConfig>* rule) {
  const auto refused = [&](const absl::Status& why) {
    return absl::Status(why.code(), fmt::format("{}: {}", label, std::string(why.message())));
  };
  const DType dtype = ToDType(value.dtype);
  if (DTypeBytes(dtype) == 0) {
    return absl::InvalidArgumentError(fmt::format("{}: a dtype expected, got the number {}", label,
                                                  static_cast<int>(value.dtype)));
  }
  const bool row_sparse = value.storage == StorageType::kRowSparse;
  if (row_sparse && (value.shape.empty() || std::find(value.shape.begin() + 1, value.shape.end(),
                                                      0) != value.shape.end())) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a row_sparse shape of rows of at least one element expected, got {}",
                    label, ShapeString(value.shape)));
  }
  const absl::StatusOr<int64_t> elements =
      row_sparse ? RowSparseElementCount(value.shape) : ElementCount(value.shape);
  if (!elements.ok()) return refused(elements.status());
  const InitRuleConfig config{static_cast<InitRuleKind>(value.rule.kind), value.rule.a,
                              value.rule.b, value.rule.seed, value.rows_max};
  if (!config.by_rule()) return refused(absl::InvalidArgumentError("a rule expected, got none"));
  if (const absl::Status known = CheckInitRule(config, dtype, row_sparse); !known.ok()) {
    return refused(known);
  }
  spec->known = true;
  spec->dtype = dtype;
  spec->shape = value.shape;
  spec->row_sparse = row_sparse;
  spec->bytes = static_cast<uint64_t>(*elements) * DTypeBytes(dtype);
  *rule = std::make_shared<const InitRuleConfig>(config);
  return CheckRowBytes(label, *spec);
}

absl::Status CheckRowsOutput(const std::string& label, const NDArray* output, const NDArray& ids,
                             const ValueSpec& spec) {
  const auto wrong = [&](const char* what, const char* expected, const char* got) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {} of storage {} expected, got {}", label, what, expected, got));
  };
  if (!spec.row_sparse) return wrong("PullRowSparse: a key", "row_sparse", "default");
  if (absl::Status fits = CheckOutput(label, output, spec); !fits.ok()) return fits;
  if (!IsRowSparse(*output)) return wrong("an output", "row_sparse", "default");
  if (IsRowSparse(ids)) return wrong("row ids", "default", "row_sparse");
  if (ids.empty()) return absl::OkStatus();
  return CheckIdDType(label, ToDType(ids.dtype()), spec.shape[0]);
}

absl::Status ReadRowIds(const Key& key, const ValueSpec& spec, RowIds* asked) {
  if (asked->array.empty()) return absl::OkStatus();
  const std::string& label = key.label;
  try {
    auto ids = RowIdsOf(label, asked->array, spec.shape[0]);
    if (!ids.ok()) return ids.status();
    asked->ids = *std::move(ids);
  } catch (const std::bad_alloc&) {
    return TooLittleMemory(label, fmt::format("{} row ids", asked->array.size()));
  }
  asked->array = NDArray();
  return absl::OkStatus();
}

}  // namespace kvstore
