// NcclReducer: the Reducer of `nccl` stores. What several GPUs have is summed by NCCL; all else,
// and what one GPU has, by the DeviceReducer.
//
// Of each range every GPU first sums what it has itself, if that is more than one array, or one
// that has another accumulator (f16 and bf16 become f32 before NCCL adds, so that a sum is rounded
// once); what is in host memory is the first GPU's. Then a ReduceScatter leaves a slice of the sum
// on every GPU, and each copies its own over its own link to the host (docs/decisions/0028).
//
// Bits: integers and bools have those of any other store. In what order NCCL adds floats is not
// ours: the left fold in the order of the list is not promised.
#pragma once

#include <memory>
#include <optional>

#include "client/device/nccl_ranks.h"
#include "client/reduce/device_blocks.h"
#include "client/reduce/device_reducer.h"
#include "client/reduce/reducer.h"

namespace kvstore {

class NcclReducer final : public Reducer {
 public:
  NcclReducer(size_t threads, const NcclLibrary& nccl, const DeviceLibrary& library)
      : devices_(threads, /*sums_on_devices=*/true), library_(library), ranks_(nccl, library) {}

  std::optional<Contribution> AsIs(const KeyOperation& operation,
                                   const TokenPtr& token) const override {
    return devices_.AsIs(operation, token);
  }
  absl::StatusOr<Contribution> Reduce(const KeyOperation& operation) override {
    return devices_.Reduce(operation);
  }
  absl::Status Fold(DType dtype, absl::Span<const NDArray> values, const ElementRange& range,
                    FoldedAs as, Stores stores, void* sum) const override;
  // A collective is waited for.
  absl::StatusOr<UnderWayPtr> BeginFold(DType dtype, absl::Span<const NDArray> values,
                                        const ElementRange& range, FoldedAs as, Stores stores,
                                        void* sum) const override;
  absl::StatusOr<RowSum> FoldRows(const ValueSpec& spec,
                                  absl::Span<const NDArray> values) const override {
    return devices_.FoldRows(spec, values);
  }
  absl::Status Broadcast(DType dtype, const void* data, const ElementRange& range, Stores stores,
                         absl::Span<const NDArray> outputs) const override {
    return devices_.Broadcast(dtype, data, range, stores, outputs);
  }
  absl::StatusOr<UnderWayPtr> BeginBroadcast(DType dtype, const void* data,
                                             const ElementRange& range, Stores stores,
                                             absl::Span<const NDArray> outputs) const override {
    return devices_.BeginBroadcast(dtype, data, range, stores, outputs);
  }
  BlockThreads& threads() override { return devices_.threads(); }

 private:
  // The first `each` elements of the range for every GPU, in the accumulator's dtype.
  absl::Status SumSlices(DType dtype, absl::Span<const NDArray> values, const ElementRange& range,
                         const std::vector<int>& gpus, size_t each, uint8_t* sum) const;

  DeviceReducer devices_;
  const DeviceLibrary& library_;
  mutable NcclRanks ranks_;
  mutable DeviceBlocks blocks_;
};

}  // namespace kvstore
