// Waiter: a request that is answered later.
#pragma once

#include <cstdint>
#include <memory>

#include "common/wire/frame.h"
#include "server/core/reply_batch.h"

namespace kvstore {

// Named by (rank, request); asked again, it moves to the newer stream.
struct Waiter {
  ReplyTo to;
  EntryHead request;
  std::shared_ptr<const KeySpec> key;  // kInit: what the waiter expects the key to be; else null
  Piece asked;                         // kPull; a copy, in the parking lot
  bool answered = false;
  int64_t since_ms = 0;  // when it came
  int64_t since = 0;     // WorkRecorder::Now() when it came; 0: nothing is recorded
};

}  // namespace kvstore
