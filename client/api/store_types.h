// The types of store: which names exist, and what they mean. A function that one can read, instead
// of MXNet's search for substrings, for which any unknown name is a local store.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace kvstore {

enum class StoreFamily { kLocal, kDist };

struct StoreType {
  std::string name;  // lower case
  StoreFamily family = StoreFamily::kLocal;
  bool sums_on_devices = false;  // of one process: what GPUs have is summed by them
};

// Errors: INVALID_ARGUMENT lists the known names; UNIMPLEMENTED for those still to come.
absl::StatusOr<StoreType> ParseStoreType(const std::string& type);

}  // namespace kvstore
