#include "client/reduce/device_reducer.h"

#include <algorithm>
#include <new>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/reduce/device_rows.h"
#include "client/store/argument_checks.h"
#include "client/store/row_values.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

const uint8_t* At(const NDArray& value, const ElementRange& range, DType dtype) {
  return value.data_as<uint8_t>() + range.first * DTypeBytes(dtype);
}

}  // namespace

bool AnyOnDevice(absl::Span<const NDArray> arrays) {
  return std::any_of(arrays.begin(), arrays.end(),
                     [](const NDArray& array) { return OnDevice(array.context()); });
}

bool AnyRowsOnDevice(absl::Span<const NDArray> arrays) {
  return std::any_of(arrays.begin(), arrays.end(), [](const NDArray& array) {
    return OnDevice(array.context()) && array.storage_type() == StorageType::kRowSparse;
  });
}

absl::StatusOr<Arrays> AllOnHost(absl::Span<const NDArray> arrays) {
  Arrays on_host;
  on_host.reserve(arrays.size());
  for (const NDArray& array : arrays) {
    KVS_ASSIGN_OR_RETURN(NDArray copy, OnHost(array));
    on_host.push_back(std::move(copy));
  }
  return on_host;
}

absl::Status BringToHost(KeyOperation* operation) noexcept {
  if (!AnyOnDevice(operation->values)) return absl::OkStatus();
  try {
    absl::StatusOr<Arrays> on_host = AllOnHost(operation->values);
    if (!on_host.ok()) return Named(operation->key->label, on_host.status());
    operation->values = *std::move(on_host);
    return absl::OkStatus();
  } catch (const std::bad_alloc&) {
    return WordedStatus(absl::StatusCode::kResourceExhausted, [&] {
      return operation->key->label +
             ": memory for a copy of what a GPU has expected, there is too little";
    });
  }
}

std::optional<Contribution> DeviceReducer::AsIs(const KeyOperation& operation,
                                                const TokenPtr& token) const {
  if (AnyOnDevice(operation.values)) return std::nullopt;
  return cpu_.AsIs(operation, token);
}

absl::StatusOr<Contribution> DeviceReducer::Reduce(const KeyOperation& operation) {
  if (!AnyOnDevice(operation.values)) return cpu_.Reduce(operation);
  const bool as_it_is = operation.values.size() == 1 && operation.spec.dtype == DType::kBool;
  if (!operation.spec.row_sparse && !as_it_is && !AnyRowsOnDevice(operation.values)) {
    return SumByParts(*this, AllDense(operation.values));
  }
  if (operation.spec.row_sparse && sums_on_devices_ &&
      SumsRowsOnDevice(operation.spec, operation.values)) {
    KVS_ASSIGN_OR_RETURN(RowSum sum, FoldRowsOnDevice(operation.spec, operation.values, &blocks_));
    Contribution contribution;
    contribution.rows = RowsOf(operation.spec, std::move(sum));
    return contribution;
  }
  KeyOperation on_host;
  on_host.kind = operation.kind;
  on_host.key = operation.key;
  on_host.spec = operation.spec;
  KVS_ASSIGN_OR_RETURN(on_host.values, AllOnHost(operation.values));
  KVS_ASSIGN_OR_RETURN(Contribution contribution, cpu_.Reduce(on_host));
  // Rows are where they were given, in the copies.
  if (operation.spec.row_sparse) {
    contribution.owner = std::make_shared<const Arrays>(std::move(on_host.values));
  }
  return contribution;
}

absl::Status DeviceReducer::Fold(DType dtype, absl::Span<const NDArray> values,
                                 const ElementRange& range, FoldedAs as, Stores stores,
                                 void* sum) const {
  return FinishIfAny(BeginFold(dtype, values, range, as, stores, sum));
}

absl::StatusOr<UnderWayPtr> DeviceReducer::BeginFold(DType dtype, absl::Span<const NDArray> values,
                                                     const ElementRange& range, FoldedAs as,
                                                     Stores stores, void* sum) const {
  if (range.elements == 0) return nullptr;
  if (!AnyOnDevice(values)) {
    KVS_RETURN_IF_ERROR(cpu_.Fold(dtype, values, range, as, stores, sum));
    return nullptr;
  }
  if (values.size() == 1 && (as == FoldedAs::kRounded || AccumulatorOf(dtype) == dtype) &&
      dtype != DType::kBool) {  // a bool may be any byte that is not 0, a sum of one is 1
    return BeginCopyToHost(means(), dtype, values[0], range, sum);
  }
  if (sums_on_devices_) return BeginFoldOnDevice(means(), dtype, values, range, as, sum);
  KVS_RETURN_IF_ERROR(FoldOnHost(dtype, values, range, as, stores, sum));
  return nullptr;
}

absl::Status DeviceReducer::FoldOnHost(DType dtype, absl::Span<const NDArray> values,
                                       const ElementRange& range, FoldedAs as, Stores stores,
                                       void* sum) const {
  const size_t bytes = range.elements * DTypeBytes(dtype);
  // Of each value this range alone, as an array of its own.
  Arrays ranges;
  ranges.reserve(values.size());
  for (const NDArray& value : values) {
    const auto elements = static_cast<int64_t>(range.elements);
    const NDArray copy = MakeArray({elements}, value.dtype());
    KVS_RETURN_IF_ERROR(
        CopyBytes({Context(), copy.data()}, {value.context(), At(value, range, dtype)}, bytes));
    ranges.push_back(copy);
  }
  return cpu_.Fold(dtype, ranges, {0, range.elements}, as, stores, sum);
}

absl::StatusOr<RowSum> DeviceReducer::FoldRows(const ValueSpec& spec,
                                               absl::Span<const NDArray> values) const {
  if (!AnyOnDevice(values)) return cpu_.FoldRows(spec, values);
  if (sums_on_devices_ && SumsRowsOnDevice(spec, values)) {
    return FoldRowsOnDevice(spec, values, &blocks_);
  }
  KVS_ASSIGN_OR_RETURN(const Arrays on_host, AllOnHost(values));
  return kvstore::FoldRows(spec, on_host);  // a copy: nothing lent would outlive `on_host`
}

absl::Status DeviceReducer::Broadcast(DType dtype, const void* data, const ElementRange& range,
                                      Stores stores, absl::Span<const NDArray> outputs) const {
  return FinishIfAny(BeginBroadcast(dtype, data, range, stores, outputs));
}

absl::StatusOr<UnderWayPtr> DeviceReducer::BeginBroadcast(DType dtype, const void* data,
                                                          const ElementRange& range, Stores stores,
                                                          absl::Span<const NDArray> outputs) const {
  if (!AnyOnDevice(outputs)) {
    KVS_RETURN_IF_ERROR(cpu_.Broadcast(dtype, data, range, stores, outputs));
    return nullptr;
  }
  KVS_ASSIGN_OR_RETURN(UnderWayPtr crossing,
                       BeginCopyToDevices(&lanes_, dtype, data, range, outputs));
  Arrays on_host;
  for (const NDArray& output : outputs) {
    if (!OnDevice(output.context())) on_host.push_back(output);
  }
  if (!on_host.empty()) {
    KVS_RETURN_IF_ERROR(cpu_.Broadcast(dtype, data, range, stores, on_host));
  }
  return crossing;
}

}  // namespace kvstore
