// How the SDK calls a function of the plugin for devices (plugin_abi.h).
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "client/device/plugin_abi.h"

namespace kvstore {

inline constexpr size_t kPluginTextBytes = 256;

inline absl::Status StatusOfPlugin(int code, const char* text) {
  switch (code) {
    case KVSTORE_DEVICE_OK:
      return absl::OkStatus();
    case KVSTORE_DEVICE_NO_DRIVER:
    case KVSTORE_DEVICE_NO_GPU:
      return absl::FailedPreconditionError(text);
    case KVSTORE_DEVICE_NO_MEMORY:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::InternalError(text);
  }
}

// Calls it; its error becomes a status.
template <typename Function, typename... Arguments>
absl::Status CallPlugin(const Function& function, Arguments... arguments) {
  char text[kPluginTextBytes] = {};
  return StatusOfPlugin(function(arguments..., text, sizeof text), text);
}

}  // namespace kvstore
