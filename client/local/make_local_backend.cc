// Who sums what GPUs have, for each type of store of one process.
#include <memory>
#include <string>
#include <utility>

#include "client/device/device_library.h"
#include "client/device/nccl_library.h"
#include "client/local/local_backend.h"
#include "client/reduce/device_reducer.h"
#include "client/reduce/nccl_reducer.h"

namespace kvstore {

std::shared_ptr<StoreBackend> MakeLocalBackend(const Environment& environment,
                                               bool sums_on_devices) {
  return MakeLocalBackend(
      environment, std::make_unique<DeviceReducer>(environment.reduction_threads, sums_on_devices),
      sums_on_devices);
}

absl::StatusOr<std::shared_ptr<StoreBackend>> MakeNcclBackend(const Environment& environment) {
  const auto nccl = NcclLibrary::Open(environment.nccl_library);
  const auto devices = DeviceLibrary::For(Context::Gpu(0));
  if (!nccl.ok() || !devices.ok()) {
    std::string missing;
    if (!nccl.ok()) missing = "missing: " + std::string(nccl.status().message());
    if (!devices.ok()) {
      if (!missing.empty()) missing += "; ";
      missing += std::string(devices.status().message());
    }
    return absl::FailedPreconditionError("store 'nccl': " + missing);
  }
  return MakeLocalBackend(
      environment, std::make_unique<NcclReducer>(environment.reduction_threads, **nccl, **devices),
      /*encodes_on_devices=*/true);
}

}  // namespace kvstore
