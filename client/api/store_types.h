// The types of store: which names exist, and what they mean. A function that one can read, instead
// of MXNet's search for substrings, for which any unknown name is a local store.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace kvstore {

enum class StoreFamily { kLocal, kDist };

// Who sums what GPUs have, of a store of one process.
enum class SumsOf { kCpu, kDevices, kNccl };

struct StoreType {
  std::string name;  // lower case
  StoreFamily family = StoreFamily::kLocal;
  SumsOf sums = SumsOf::kCpu;
};

// Errors: INVALID_ARGUMENT lists the known names.
absl::StatusOr<StoreType> ParseStoreType(const std::string& type);

}  // namespace kvstore
