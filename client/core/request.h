// Request: what ClientCore keeps of an open request, and where it is between Submit and its
// completion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "client/core/client_core.h"

namespace kvstore::client_internal {

inline constexpr int64_t kNever = INT64_MAX;

// A request goes from kHeld to kReady to kSent and, if the answer takes time, kOwned. A broken
// stream and an answer that did not come lead back to kReady, a refusal to kBackoff.
enum class State {
  kHeld,     // an earlier request of its part comes first (PartOrder)
  kReady,    // in its stream's queue (Streams)
  kSent,     // on the wire, no answer yet
  kOwned,    // the server said `received`, or has parked it
  kBackoff,  // refused for a while
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
  bool as_probe = false;    // the next send asks what became of it
  size_t window_bytes = 0;  // counted against the stream's window
  int64_t try_until_ms = kNever;
  int64_t backoff_until_ms = kNever;
  int refusals = 0;  // in a row; what comes after it in its part is held until it is taken

  bool probe_answered = false;
  std::vector<WorkerRank> missing;

  OpOrder op_order() const { return InfoOf(ask.op).order; }
  // Whether it is a contribution to a round.
  bool contributes() const { return InfoOf(ask.op).round == OpRound::kContributes; }
};

}  // namespace kvstore::client_internal
