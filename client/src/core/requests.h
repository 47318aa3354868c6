// What ClientCore keeps of its open requests, of the parts they are about, and of its streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/src/core/client_core.h"

namespace kvstore::client_internal {

inline constexpr int64_t kNever = INT64_MAX;

// Where a request is between Submit and its completion.
enum class State {
  kHeld,     // an earlier request of its part comes first
  kReady,    // in its stream's queue
  kSent,     // on the wire, no answer yet
  kOwned,    // the server said `received`, or has parked it
  kBackoff,  // refused for a while
};

struct Request {
  PartRequest ask;  // for whole-shard requests: op, ticket
  OptimizerConfig optimizer;
  RequestId id = 0;
  uint64_t order = 0;  // of submission
  Round round = 0;
  ShardAddress shard;
  bool whole_shard = false;

  State state = State::kHeld;
  bool as_probe = false;  // the next send asks what became of it
  bool sent_before = false;
  size_t window_bytes = 0;  // counted against the stream's window
  int64_t try_until_ms = kNever;
  int64_t backoff_until_ms = kNever;
  int refusals = 0;  // in a row; what comes after it in its part is held until it is taken
  bool over = false;

  bool probe_answered = false;
  std::vector<WorkerRank> missing;
};

struct PartQueue {
  Round last_round = 0;       // of the last push submitted
  std::deque<Request*> open;  // in order of submission
};

struct Stream {
  enum class Link { kDown, kDialing, kUp };
  Link link = Link::kDown;
  int64_t redial_at_ms = kNever;
  int64_t redial_delay_ms = 0;
  size_t window_bytes = 0;
  // (-priority, order) -> request
  using Queue = std::map<std::pair<int64_t, uint64_t>, Request*>;
  Queue ready;
  Queue ready_probes;                  // never held up by the window: an answer may open it
  std::map<RequestId, Request*> sent;  // kSent and kOwned
  // Try deadlines in the order of sending; entries of requests that moved on are stale.
  std::deque<std::pair<int64_t, RequestId>> tries;
};

struct ShardGroup {
  size_t remaining = 0;
  absl::Status status;
};

}  // namespace kvstore::client_internal
