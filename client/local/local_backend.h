// The stores of one process: local, local_update_cpu, local_allreduce_cpu, device,
// local_allreduce_device, nccl. Values live in host memory, arrays there or on GPUs
// (DeviceReducer); sums are left folds in list order; updates see the very parts that servers would
// see, so that the bits are those of dist_sync.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/base/environment.h"
#include "client/reduce/reducer.h"
#include "client/store/store_backend.h"

namespace kvstore {

// `sums_on_devices`: what GPUs have is summed by them (device), else on the CPU (local).
std::shared_ptr<StoreBackend> MakeLocalBackend(const Environment& environment,
                                               bool sums_on_devices);

// By whichever reducer. `encodes_on_devices`: what GPUs have is encoded by them, if they can.
std::shared_ptr<StoreBackend> MakeLocalBackend(const Environment& environment,
                                               std::unique_ptr<Reducer> reducer,
                                               bool encodes_on_devices);

// What several GPUs have is summed by NCCL (NcclReducer), whose order of floats is its own.
// Errors: FAILED_PRECONDITION names what is missing: NCCL, or what of plugin, driver and GPU.
absl::StatusOr<std::shared_ptr<StoreBackend>> MakeNcclBackend(const Environment& environment);

}  // namespace kvstore
