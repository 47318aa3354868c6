// The border between absl::Status, which is what errors are inside, and kvstore::Error, which is
// what callers of the public API catch. Nothing else in the SDK throws.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "kvstore/error.h"

namespace kvstore {

// A failure and the key that it concerns ("17", "conv1.weight"; empty if none is).
struct KeyedStatus {
  absl::Status status;
  std::string key;

  bool ok() const { return status.ok(); }
};

Error ToError(const absl::Status& status, const std::string& key = {});

// Throws unless the status is OK.
void ThrowIfError(const absl::Status& status, const std::string& key = {});
void ThrowIfError(const KeyedStatus& status);

// "OK", or "NOT_FOUND: key 17 was never initialised".
std::string StatusLine(const absl::Status& status);

}  // namespace kvstore
