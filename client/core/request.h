// Request: what ClientCore keeps of an open request, and where it is between Submit and its
// completion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "client/core/client_core.h"

namespace kvstore::client_internal {

inline constexpr int64_t kNever = INT64_MAX;

// A request goes from kHeld to kReady to kSent and, if the final answer takes time, to kOwned. When
// its stream breaks, or no answer comes in time, it goes back to kReady. When the server puts it
// off it goes to kPutOff, from there to kHeld, and on as before.
enum class State {
  kHeld,    // an earlier request of its part comes first (PartOrder)
  kReady,   // in the queue of its stream (Streams)
  kSent,    // on the wire, no answer yet
  kOwned,   // the server said `received`, or has parked it
  kPutOff,  // the server refused it with retry-after: it waits here for that time
};

struct Request {
  PartRequest ask;  // for whole-shard requests: op, ticket
  OptimizerConfig optimizer;
  Command command;
  RequestId id = 0;
  uint64_t order = 0;  // of submission
  Round round = 0;
  ShardAddress shard;
  bool whole_shard = false;

  State state = State::kHeld;
  bool as_probe = false;    // the next time it is sent, it is a probe: what became of it?
  size_t window_bytes = 0;  // counted against the stream's window
  int64_t try_until_ms = kNever;
  int64_t put_off_until_ms = kNever;
  // In a row, by the server. While it is not 0 what comes after the request in its part is held.
  int times_put_off = 0;

  bool probe_answered = false;
  std::vector<WorkerRank> missing;

  OpOrder op_order() const { return InfoOf(ask.op).order; }
  // Whether it is a contribution to a round.
  bool contributes() const { return InfoOf(ask.op).round == OpRound::kContributes; }
};

}  // namespace kvstore::client_internal
