#include "client/reduce/device_reducer.h"

#include <algorithm>
#include <new>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/reduce/device_rows.h"
#include "client/store/argument_checks.h"
#include "client/store/row_values.h"
#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/convert.h"

namespace kvstore {
namespace {

constexpr size_t kListed = 8;  // arrays for which no memory is taken

// Blocks that go back when the work with them is done.
class Borrowed {
 public:
  Borrowed(DeviceBlocks* blocks, const DeviceLibrary& library, int gpu)
      : blocks_(blocks), library_(library), gpu_(gpu) {}
  ~Borrowed() {
    for (std::shared_ptr<void>& block : taken_) blocks_->Give(gpu_, std::move(block));
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  absl::StatusOr<void*> Take(size_t bytes) {
    taken_.reserve(taken_.size() + 1);
    KVS_ASSIGN_OR_RETURN(std::shared_ptr<void> block, blocks_->Take(library_, gpu_, bytes));
    if (bytes > DeviceBlocks::kBlockBytes) {
      own_.push_back(std::move(block));
      return own_.back().get();
    }
    taken_.push_back(std::move(block));
    return taken_.back().get();
  }

 private:
  DeviceBlocks* const blocks_;
  const DeviceLibrary& library_;
  const int gpu_;
  std::vector<std::shared_ptr<void>> taken_;
  std::vector<std::shared_ptr<void>> own_;
};

const uint8_t* At(const NDArray& value, const ElementRange& range, DType dtype) {
  return value.data_as<uint8_t>() + range.first * DTypeBytes(dtype);
}

// GPUs take turns, part by part; all of those that have a value.
Context DeviceFor(absl::Span<const NDArray> values, uint64_t first_byte) {
  absl::InlinedVector<Context, kListed> devices;
  for (const NDArray& value : values) {
    const Context context = value.context();
    const bool known = std::any_of(devices.begin(), devices.end(), [&](const Context& device) {
      return device.index == context.index;
    });
    if (OnDevice(context) && !known) devices.push_back(context);
  }
  return devices[first_byte / kPartBytesMax % devices.size()];
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

absl::StatusOr<std::shared_ptr<void>> DeviceBlocks::Take(const DeviceLibrary& library, int gpu,
                                                         size_t bytes) {
  if (bytes > kBlockBytes) return library.Allocate(gpu, bytes);
  {
    MutexLock lock(mutex_);
    std::vector<std::shared_ptr<void>>& free = free_[gpu];
    if (!free.empty()) {
      std::shared_ptr<void> block = std::move(free.back());
      free.pop_back();
      return block;
    }
    free.reserve(free.capacity() + 1);  // so that Give takes no memory
  }
  return library.Allocate(gpu, kBlockBytes);
}

void DeviceBlocks::Give(int gpu, std::shared_ptr<void> block) {
  MutexLock lock(mutex_);
  free_[gpu].push_back(std::move(block));
}

std::optional<Contribution> DeviceReducer::AsIs(const KeyOperation& operation,
                                                const TokenPtr& token) const {
  if (AnyOnDevice(operation.values)) return std::nullopt;
  return cpu_.AsIs(operation, token);
}

absl::StatusOr<Contribution> DeviceReducer::Reduce(const KeyOperation& operation) {
  if (!AnyOnDevice(operation.values)) return cpu_.Reduce(operation);
  if (!operation.spec.row_sparse && operation.values.size() > 1 &&
      !AnyRowsOnDevice(operation.values)) {
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
  if (!AnyOnDevice(values)) return cpu_.Fold(dtype, values, range, as, stores, sum);
  if (range.elements == 0) return absl::OkStatus();
  return sums_on_devices_ ? FoldOnDevice(dtype, values, range, as, sum)
                          : FoldOnHost(dtype, values, range, as, stores, sum);
}

absl::Status DeviceReducer::FoldOnDevice(DType dtype, absl::Span<const NDArray> values,
                                         const ElementRange& range, FoldedAs as, void* sum) const {
  const size_t bytes = range.elements * DTypeBytes(dtype);
  const size_t sum_bytes = range.elements * DTypeBytes(AccumulatorOf(dtype));
  const Context device = DeviceFor(values, range.first * DTypeBytes(dtype));
  KVS_ASSIGN_OR_RETURN(const DeviceLibrary* const library, DeviceLibrary::For(device));
  Borrowed blocks(&blocks_, *library, device.index);
  absl::InlinedVector<const void*, kListed> sources;
  sources.reserve(values.size());
  for (const NDArray& value : values) {
    const void* source = At(value, range, dtype);
    if (!OnDevice(value.context()) || value.context().index != device.index) {
      KVS_ASSIGN_OR_RETURN(void* const copy, blocks.Take(bytes));
      KVS_RETURN_IF_ERROR(library->Copy({device, copy}, {value.context(), source}, bytes));
      source = copy;
    }
    sources.push_back(source);
  }
  const bool rounds = as == FoldedAs::kRounded && AccumulatorOf(dtype) != dtype;
  const bool at_once = rounds && sources.size() <= library->rounded_max();
  KVS_ASSIGN_OR_RETURN(void* folded, blocks.Take(at_once ? bytes : sum_bytes));
  KVS_RETURN_IF_ERROR(library->Fold(device.index, dtype, sources, range.elements, at_once, folded));
  if (rounds && !at_once) {
    KVS_ASSIGN_OR_RETURN(void* const rounded, blocks.Take(bytes));
    KVS_RETURN_IF_ERROR(library->Narrow(device.index, dtype, folded, range.elements, rounded));
    folded = rounded;
  }
  return library->Copy({Context(), sum}, {device, folded}, rounds ? bytes : sum_bytes);
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
  if (!AnyOnDevice(outputs)) return cpu_.Broadcast(dtype, data, range, stores, outputs);
  Arrays on_host;
  std::vector<uint8_t> converted;
  for (const NDArray& output : outputs) {
    if (!OnDevice(output.context())) {
      on_host.push_back(output);
      continue;
    }
    const DType to = ToDType(output.dtype());
    const size_t bytes = range.elements * DTypeBytes(to);
    const void* from = data;
    if (to != dtype) {
      converted.resize(bytes);
      Convert(dtype, data, to, converted.data(), range.elements);
      from = converted.data();
    }
    uint8_t* const at = output.data_as<uint8_t>() + range.first * DTypeBytes(to);
    KVS_RETURN_IF_ERROR(CopyBytes({output.context(), at}, {Context(), from}, bytes));
  }
  return on_host.empty() ? absl::OkStatus() : cpu_.Broadcast(dtype, data, range, stores, on_host);
}

}  // namespace kvstore
