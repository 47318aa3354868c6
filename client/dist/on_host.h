// What is sent to servers, and received of them, is in host memory.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "client/store/store_backend.h"

namespace kvstore {

// Errors: UNIMPLEMENTED names the key and the context of an array that is not.
absl::Status CheckOnHost(const KeyOperation& operation);
absl::Status CheckAllOnHost(const std::vector<std::shared_ptr<KeyOperation>>& operations);

}  // namespace kvstore
