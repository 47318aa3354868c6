// How the SDK fails when memory runs out: std::bad_alloc is caught at one border per layer, and
// becomes RESOURCE_EXHAUSTED there.
//
//   public calls      WithinMemory: the call throws Error
//   issue functions   DependencyEngine::Run: the operation ends with the status
//   a local store     Execute, on the store's thread
//   a dist store      DistBackend::Send; on the session's loop DistOperation::OnPart, ShardLinks
//
// Whatever lies below such a border takes all the memory that it needs before it changes anything.
// Saying that there is no memory must take none: hence statuses and errors that were made before.
#pragma once

#include <new>
#include <utility>

#include "absl/status/status.h"
#include "client/base/error_border.h"

namespace kvstore {

// What a code says where there is no memory for words of its own. Takes none.
absl::Status WordlessStatus(absl::StatusCode code) noexcept;
Error WordlessError(ErrorCode code) noexcept;
// Makes what the two hand out. Called when the first store or array of the process is made.
void PrepareWordless();

// The status with the words that `words()` returns, or wordless if there is no memory for them.
template <typename Words>
absl::Status WordedStatus(absl::StatusCode code, const Words& words) noexcept {
  try {
    return absl::Status(code, words());
  } catch (const std::bad_alloc&) {
    return WordlessStatus(code);
  }
}

// The body of a public call, which throws std::bad_alloc only where nothing has changed.
template <typename Body>
decltype(auto) WithinMemory(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    throw WordlessError(ErrorCode::kResourceExhausted);
  }
}

}  // namespace kvstore
