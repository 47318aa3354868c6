// The call of the plugin that sums rows (client/device/plugin_abi.h).
#include <cuda_runtime.h>

#include "client/cuda/plugin_calls.h"
#include "client/device/plugin_abi.h"
#include "common/kernels/cuda/rows.cuh"

namespace kvstore::cuda {
namespace {

constexpr char kSum[] = "a sum of rows";

int Sum(int device, uint32_t dtype, const kvstore_device_rows* lists, void* to, char* text,
        size_t text_bytes) {
  const Text said{text, text_bytes};
  if (const int wrong = CheckHere(device, lists->rows, kSum, "the list of rows", said)) {
    return wrong;
  }
  if (const int wrong = CheckHere(device, lists->begins, kSum, "the list of sums", said)) {
    return wrong;
  }
  if (const int wrong = CheckHere(device, to, kSum, "the target", said)) return wrong;
  for (size_t i = 0; i < lists->array_count; ++i) {
    if (const int wrong = CheckHere(device, lists->arrays[i], kSum, "rows", said)) return wrong;
  }
  RowLists of;
  of.rows = static_cast<const unsigned long long*>(lists->rows);
  of.begins = static_cast<const unsigned long long*>(lists->begins);
  of.sums = lists->sums;
  of.width = lists->width;
  of.packed = lists->aligned != 0 && AtWholePack(to);
  return Do(device, kSum, said, [&](const Place& place) {
    return SumRowsOf(static_cast<DType>(dtype), of, to, place);
  });
}

}  // namespace

void AddRowCalls(kvstore_device_plugin* plugin) { plugin->sum_rows = &Sum; }

}  // namespace kvstore::cuda
