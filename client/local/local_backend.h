// The stores of one process: local, local_update_cpu, local_allreduce_cpu, device,
// local_allreduce_device. Values live in host memory, arrays there or on GPUs (DeviceReducer); sums
// are left folds in list order; updates see the very parts that servers would see, so that the bits
// are those of dist_sync.
#pragma once

#include <memory>

#include "client/base/environment.h"
#include "client/store/store_backend.h"

namespace kvstore {

// `sums_on_devices`: what GPUs have is summed by them (device), else on the CPU (local).
std::shared_ptr<StoreBackend> MakeLocalBackend(const Environment& environment,
                                               bool sums_on_devices);

}  // namespace kvstore
