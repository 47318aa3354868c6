// What a DeviceReducer has GPUs do, each as work under way (under_way.h) on a lane of its own:
// while the GPU copies and sums one range, the thread does something else.
//
// Nothing that was put on a lane is under way when the lane goes back: an error waits for what is.
#pragma once

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/device/device_lane.h"
#include "client/reduce/device_blocks.h"
#include "client/reduce/reducer.h"
#include "client/reduce/under_way.h"
#include "common/tensor/dtype.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Memory of GPUs and lanes to them, both thread-safe; they outlive what is under way.
struct DeviceMeans {
  DeviceBlocks* blocks = nullptr;
  DeviceLanes* lanes = nullptr;
};

// All may throw std::bad_alloc. Errors: DeviceLibrary's; Finish's, too.

// Reducer::Fold of values of which at least one is on a GPU, on one of those that have some. The
// values stay as they are, and `sum` is written, until Finish returns.
absl::StatusOr<UnderWayPtr> BeginFoldOnDevice(const DeviceMeans& means, DType dtype,
                                              absl::Span<const NDArray> values,
                                              const ElementRange& range, FoldedAs as, void* sum);

// A range of an array on a GPU, as it is.
absl::StatusOr<UnderWayPtr> BeginCopyToHost(const DeviceMeans& means, DType dtype,
                                            const NDArray& value, const ElementRange& range,
                                            void* to);

// Reducer::Broadcast to those outputs that are on GPUs, of which there is one. `data` is read by
// this call only. Where a GPU's lanes are crowded it is finished at once: replies for many keys may
// come before any of them is whole.
absl::StatusOr<UnderWayPtr> BeginCopyToDevices(DeviceLanes* lanes, DType dtype, const void* data,
                                               const ElementRange& range,
                                               absl::Span<const NDArray> outputs);

}  // namespace kvstore
