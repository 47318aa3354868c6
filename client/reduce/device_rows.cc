#include "client/reduce/device_rows.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "client/array/ndarray_impl.h"
#include "client/device/device_library.h"
#include "client/reduce/taken_blocks.h"
#include "client/store/row_values.h"
#include "common/base/status_macros.h"
#include "common/base/uninitialized.h"
#include "common/kernels/kernels.h"
#include "common/rows/row_cut.h"

namespace kvstore {
namespace {

// Of each row its address crosses to the GPU, and of each sum where its rows begin.
constexpr size_t kRowBytesMin = 64;
constexpr size_t kAlignedBytes = 16;

struct Occurrence {
  int64_t id = 0;
  uint64_t at = 0;  // the address of the row
};

// The GPU that has the most bytes; of equal ones the first.
int GpuWithMost(absl::Span<const NDArray> values) {
  std::map<int, size_t> bytes;
  for (const NDArray& value : values) {
    if (OnDevice(value.context())) bytes[value.context().index] += value.bytes();
  }
  return std::max_element(bytes.begin(), bytes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// Ascending ids; of equal ones in the order of the list, and then of the array.
std::vector<Occurrence> InOrder(const std::vector<Rows>& lists, size_t row_bytes) {
  const auto below = [](const Occurrence& a, const Occurrence& b) { return a.id < b.id; };
  std::vector<Occurrence> all;
  std::vector<size_t> ends;
  for (const Rows& rows : lists) {
    const auto first = static_cast<std::ptrdiff_t>(all.size());
    for (size_t i = 0; i < rows.count; ++i) {
      all.push_back({rows.ids[i], reinterpret_cast<uint64_t>(rows.data) + i * row_bytes});
    }
    if (!std::is_sorted(all.begin() + first, all.end(), below)) {
      std::stable_sort(all.begin() + first, all.end(), below);
    }
    ends.push_back(all.size());
  }
  // Neighbours are merged two by two, so that a row is moved log2(lists) times.
  for (size_t step = 1; step < ends.size(); step *= 2) {
    for (size_t i = 0; i + step < ends.size(); i += 2 * step) {
      const auto at = [&](size_t end) { return all.begin() + static_cast<std::ptrdiff_t>(end); };
      std::inplace_merge(at(i == 0 ? 0 : ends[i - 1]), at(ends[i + step - 1]),
                         at(ends[std::min(i + 2 * step, ends.size()) - 1]), below);
    }
  }
  return all;
}

// There, a copy of what is in host memory.
absl::StatusOr<const void*> Brought(const DeviceLibrary& library, int gpu, Taken* blocks,
                                    const std::vector<uint64_t>& numbers, size_t first,
                                    size_t count) {
  const size_t bytes = count * sizeof(uint64_t);
  KVS_ASSIGN_OR_RETURN(void* const copy, blocks->Take(gpu, bytes));
  KVS_RETURN_IF_ERROR(
      library.Copy({Context::Gpu(gpu), copy}, {Context(), numbers.data() + first}, bytes));
  return copy;
}

}  // namespace

bool SumsRowsOnDevice(const ValueSpec& spec, absl::Span<const NDArray> values) {
  return values.size() > 1 && AnyOnDevice(values) &&
         RowShapeOf(spec.shape, spec.dtype).row_bytes >= kRowBytesMin;
}

absl::StatusOr<RowSum> FoldRowsOnDevice(const ValueSpec& spec, absl::Span<const NDArray> values,
                                        DeviceBlocks* blocks) {
  const RowShape shape = RowShapeOf(spec.shape, spec.dtype);
  const int gpu = GpuWithMost(values);
  const Context here = Context::Gpu(gpu);
  KVS_ASSIGN_OR_RETURN(const DeviceLibrary* const library, DeviceLibrary::For(here));
  Taken brought(blocks, *library);
  std::vector<Rows> lists;
  std::vector<const void*> arrays;
  bool aligned = shape.row_bytes % kAlignedBytes == 0;
  for (const NDArray& value : values) {
    Rows rows = RowsOf(value);
    const size_t bytes = rows.count * shape.row_bytes;
    const bool is_here = OnDevice(value.context()) && value.context().index == gpu;
    if (!is_here && bytes > 0) {
      KVS_ASSIGN_OR_RETURN(void* const copy, brought.Take(gpu, bytes));
      KVS_RETURN_IF_ERROR(library->Copy({here, copy}, {value.context(), rows.data}, bytes));
      rows.data = static_cast<const uint8_t*>(copy);
    }
    if (bytes > 0) {
      aligned = aligned && reinterpret_cast<uintptr_t>(rows.data) % kAlignedBytes == 0;
      arrays.push_back(rows.data);
    }
    lists.push_back(std::move(rows));
  }
  const std::vector<Occurrence> all = InOrder(lists, shape.row_bytes);
  // Where the rows of each sum begin among all.
  std::vector<int64_t> ids;
  std::vector<uint64_t> addresses, begins;
  for (const Occurrence& each : all) {
    if (ids.empty() || ids.back() != each.id) {
      ids.push_back(each.id);
      begins.push_back(addresses.size());
    }
    addresses.push_back(each.at);
  }
  begins.push_back(addresses.size());
  const size_t sum_bytes = shape.row_elements * DTypeBytes(AccumulatorOf(spec.dtype));
  UninitializedBytes sums(ids.size() * sum_bytes);
  // As many sums at a time as a block has room for.
  const size_t at_once = std::max<size_t>(1, DeviceBlocks::kBlockBytes / sum_bytes);
  for (size_t first = 0; first < ids.size(); first += at_once) {
    const size_t count = std::min(at_once, ids.size() - first);
    const uint64_t from = begins[first];
    std::vector<uint64_t> own(begins.begin() + static_cast<std::ptrdiff_t>(first),
                              begins.begin() + static_cast<std::ptrdiff_t>(first + count + 1));
    for (uint64_t& begin : own) begin -= from;
    Taken used(blocks, *library);
    kvstore_device_rows rows{};
    KVS_ASSIGN_OR_RETURN(rows.rows, Brought(*library, gpu, &used, addresses, from, own.back()));
    KVS_ASSIGN_OR_RETURN(rows.begins, Brought(*library, gpu, &used, own, 0, own.size()));
    rows.sums = count;
    rows.width = shape.row_elements;
    rows.aligned = aligned ? 1 : 0;
    rows.arrays = arrays.data();
    rows.array_count = arrays.size();
    KVS_ASSIGN_OR_RETURN(void* const to, used.Take(gpu, count * sum_bytes));
    KVS_RETURN_IF_ERROR(library->SumRows(gpu, spec.dtype, rows, to));
    KVS_RETURN_IF_ERROR(
        library->Copy({Context(), sums.data() + first * sum_bytes}, {here, to}, count * sum_bytes));
  }
  return RowSum::Made(spec.dtype, shape.row_elements, std::move(ids), std::move(sums));
}

}  // namespace kvstore
