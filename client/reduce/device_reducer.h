// DeviceReducer: the Reducer of all stores, for arrays in host memory and on GPUs, mixed as they
// come. What is in host memory it leaves to the CpuReducer.
//
// Where values are summed that GPUs have: on stores with `device` in their name on these GPUs,
// which take turns part by part; each copies to itself what it has not, sums in one pass
// (common/kernels/cuda), and only the sum crosses to the host. On the others (`local`, `dist_sync`)
// on the CPU, where MXNet's do it, too. The bits are the same.
#pragma once

#include <cstddef>
#include <optional>

#include "client/device/device_lane.h"
#include "client/device/device_library.h"
#include "client/reduce/cpu_reducer.h"
#include "client/reduce/device_blocks.h"
#include "client/reduce/device_work.h"
#include "client/reduce/reducer.h"
#include "client/reduce/under_way.h"

namespace kvstore {

class DeviceReducer final : public Reducer {
 public:
  DeviceReducer(size_t threads, bool sums_on_devices, const LaneOptions& lanes = {})
      : cpu_(threads), sums_on_devices_(sums_on_devices), lanes_(lanes) {}

  // Only of arrays in host memory; what GPUs have is copied by Reduce.
  std::optional<Contribution> AsIs(const KeyOperation& operation,
                                   const TokenPtr& token) const override;
  absl::StatusOr<Contribution> Reduce(const KeyOperation& operation) override;
  absl::Status Fold(DType dtype, absl::Span<const NDArray> values, const ElementRange& range,
                    FoldedAs as, Stores stores, void* sum) const override;
  absl::StatusOr<UnderWayPtr> BeginFold(DType dtype, absl::Span<const NDArray> values,
                                        const ElementRange& range, FoldedAs as, Stores stores,
                                        void* sum) const override;
  absl::StatusOr<RowSum> FoldRows(const ValueSpec& spec,
                                  absl::Span<const NDArray> values) const override;
  absl::Status Broadcast(DType dtype, const void* data, const ElementRange& range, Stores stores,
                         absl::Span<const NDArray> outputs) const override;
  absl::StatusOr<UnderWayPtr> BeginBroadcast(DType dtype, const void* data,
                                             const ElementRange& range, Stores stores,
                                             absl::Span<const NDArray> outputs) const override;
  BlockThreads& threads() override { return cpu_.threads(); }

 private:
  DeviceMeans means() const { return {&blocks_, &lanes_}; }
  absl::Status FoldOnHost(DType dtype, absl::Span<const NDArray> values, const ElementRange& range,
                          FoldedAs as, Stores stores, void* sum) const;

  CpuReducer cpu_;
  const bool sums_on_devices_;
  mutable DeviceBlocks blocks_;
  mutable DeviceLanes lanes_;
};

// The arrays, those of GPUs as copies in host memory. Errors: those of OnHost.
absl::StatusOr<Arrays> AllOnHost(absl::Span<const NDArray> arrays);
// Replaces values on GPUs by such copies. Errors: the same, and RESOURCE_EXHAUSTED; they name the
// key, and the operation is as it was.
absl::Status BringToHost(KeyOperation* operation) noexcept;
bool AnyOnDevice(absl::Span<const NDArray> arrays);
// Whether a GPU has a row_sparse one: such are summed in host memory.
bool AnyRowsOnDevice(absl::Span<const NDArray> arrays);

}  // namespace kvstore
