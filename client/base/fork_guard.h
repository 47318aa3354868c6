// What a process must know about fork(): threads do not survive it, locks may be held for ever.
// Objects remember the generation they were made in; in a forked child it differs, so they answer
// FAILED_PRECONDITION and their destructors do nothing.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/base/mutex.h"

namespace kvstore {

// A number that is different in a forked child. Thread-safe.
uint64_t ProcessGeneration();

// FAILED_PRECONDITION naming `what` unless `generation` is this process's.
absl::Status CheckSameProcess(uint64_t generation, const char* what);

// Holds `mutex` (which is never destroyed) during every later fork, so that the child finds what it
// guards whole. For the few process-wide tables; they must not nest in another order than that of
// their registration.
void HoldAcrossFork(Mutex* mutex);

}  // namespace kvstore
