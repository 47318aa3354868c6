#include "client/dist/on_host.h"

#include <fmt/format.h>

#include "client/base/no_memory.h"
#include "client/device/device_library.h"
#include "common/base/status_macros.h"

namespace kvstore {

absl::Status CheckOnHost(const KeyOperation& operation) {
  for (const Arrays* arrays : {&operation.values, &operation.outputs}) {
    for (const NDArray& array : *arrays) {
      if (!OnDevice(array.context())) continue;
      return WordedStatus(absl::StatusCode::kUnimplemented, [&] {
        return fmt::format("{}: on a dist store arrays in host memory expected, got one on {}",
                           operation.key->label, ContextName(array.context()));
      });
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAllOnHost(const std::vector<std::shared_ptr<KeyOperation>>& operations) {
  for (const auto& operation : operations) KVS_RETURN_IF_ERROR(CheckOnHost(*operation));
  return absl::OkStatus();
}

}  // namespace kvstore
