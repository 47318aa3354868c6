#include "client/reduce/nccl_reducer.h"

#include <vector>

#include "client/array/ndarray_impl.h"
#include "client/reduce/taken_blocks.h"
#include "common/base/status_macros.h"
#include "common/kernels/convert.h"

namespace kvstore {

absl::Status NcclReducer::Fold(DType dtype, absl::Span<const NDArray> values,
                               const ElementRange& range, FoldedAs as, Stores stores,
                               void* sum) const {
  const std::vector<int> gpus = GpusOf(values);
  const size_t each = gpus.empty() ? 0 : range.elements / gpus.size();
  if (gpus.size() < 2 || each == 0) {
    return devices_.Fold(dtype, values, range, as, stores, sum);
  }
  const DType accumulator = AccumulatorOf(dtype);
  const bool rounds = as == FoldedAs::kRounded && accumulator != dtype;
  const size_t width = DTypeBytes(accumulator);
  std::vector<uint8_t> unrounded(rounds ? range.elements * width : 0);
  uint8_t* const to = rounds ? unrounded.data() : static_cast<uint8_t*>(sum);
  const size_t sliced = each * gpus.size();
  KVS_RETURN_IF_ERROR(SumSlices(dtype, values, {range.first, sliced}, gpus, each, to));
  // Fewer elements than GPUs.
  KVS_RETURN_IF_ERROR(devices_.Fold(dtype, values, {range.first + sliced, range.elements - sliced},
                                    FoldedAs::kAccumulated, stores, to + sliced * width));
  if (rounds) Narrow(dtype, sum, to, range.elements);
  return absl::OkStatus();
}

absl::StatusOr<UnderWayPtr> NcclReducer::BeginFold(DType dtype, absl::Span<const NDArray> values,
                                                   const ElementRange& range, FoldedAs as,
                                                   Stores stores, void* sum) const {
  if (GpusOf(values).size() < 2) return devices_.BeginFold(dtype, values, range, as, stores, sum);
  KVS_RETURN_IF_ERROR(Fold(dtype, values, range, as, stores, sum));
  return nullptr;
}

absl::Status NcclReducer::SumSlices(DType dtype, absl::Span<const NDArray> values,
                                    const ElementRange& range, const std::vector<int>& gpus,
                                    size_t each, uint8_t* sum) const {
  const DType accumulator = AccumulatorOf(dtype);
  const size_t width = DTypeBytes(dtype);
  Taken blocks(&blocks_, library_);
  std::vector<const void*> sends;
  std::vector<void*> receives;
  for (const int gpu : gpus) {
    std::vector<const void*> sources;
    for (const NDArray& value : values) {
      const void* source = value.data_as<uint8_t>() + range.first * width;
      if (!OnDevice(value.context())) {
        if (gpu != gpus.front()) continue;
        KVS_ASSIGN_OR_RETURN(void* const copy, blocks.Take(gpu));
        KVS_RETURN_IF_ERROR(
            library_.Copy({Context::Gpu(gpu), copy}, {Context(), source}, range.elements * width));
        source = copy;
      } else if (value.context().index != gpu) {
        continue;
      }
      sources.push_back(source);
    }
    // A bool may be any byte that is not 0; the kernel makes it a 1.
    if (sources.size() == 1 && accumulator == dtype && dtype != DType::kBool) {
      sends.push_back(sources.front());
    } else {
      KVS_ASSIGN_OR_RETURN(void* const own, blocks.Take(gpu));
      KVS_RETURN_IF_ERROR(
          library_.Fold(gpu, dtype, sources, range.elements, /*rounded=*/false, own));
      sends.push_back(own);
    }
    KVS_ASSIGN_OR_RETURN(void* const slice, blocks.Take(gpu));
    receives.push_back(slice);
  }
  KVS_RETURN_IF_ERROR(ranks_.ReduceScatter(gpus, accumulator, sends, receives, each));
  const size_t bytes = each * DTypeBytes(accumulator);
  for (size_t i = 0; i < gpus.size(); ++i) {
    KVS_RETURN_IF_ERROR(
        library_.Copy({Context(), sum + i * bytes}, {Context::Gpu(gpus[i]), receives[i]}, bytes));
  }
  return absl::OkStatus();
}

}  // namespace kvstore
