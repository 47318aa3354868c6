// Request: what ClientCore keeps of an open request, and where it is between Submit and its
// completion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
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

struct PartQueue;
struct Request;
using ByOrder = std::map<uint64_t, Request*>;
using ByTurn = std::map<std::pair<int64_t, uint64_t>, Request*>;

// Where a request may ever stand takes its memory with the request: its elements of the two kinds
// of ordered queues, and its places in two lists. So nothing that happens to it later needs memory.
struct Request {
  Request();
  // Ready for another use: keeps the elements, which are here as it stands in no queue.
  void Clear();

  PartRequest ask;  // if it goes to whole shards: op, ticket, step
  // What goes to whole shards; null: it is about a part.
  std::shared_ptr<const ShardRequest> to_shards;
  RequestId id = 0;
  uint64_t order = 0;  // of submission
  Round round = 0;
  uint64_t life = 0;  // of the part, as it was when the request was let go
  uint64_t ends = 0;  // how many DELETEs and RESETs of the part were submitted before
  ShardAddress shard;
  PartQueue* part = nullptr;  // its place in PartOrder, if that knows it

  State state = State::kHeld;
  bool as_probe = false;    // the next time it is sent, it is a probe: what became of it?
  size_t window_bytes = 0;  // counted against the stream's window
  int64_t try_until_ms = kNever;
  int64_t put_off_until_ms = kNever;
  // In a row, by the server. While it is not 0 what comes after the request in its part is held.
  int times_put_off = 0;
  absl::StatusCode put_off_because = absl::StatusCode::kOk;  // the last time

  ByOrder::node_type by_order;   // of a queue of Streams; empty while it stands in one
  ByTurn::node_type by_turn;     // likewise
  Request* next_sent = nullptr;  // in the list of what its stream has sent
  Request* previous_sent = nullptr;
  Request* next_in_part = nullptr;  // in PartOrder
  Request* previous_in_part = nullptr;

  bool probe_answered = false;
  std::vector<WorkerRank> missing;
  std::string held;  // what the server says holds it up

  OpOrder op_order() const { return InfoOf(ask.op).order; }
  // Whether PartOrder knows it.
  bool ordered() const { return op_order() != OpOrder::kFree; }
  // Whether it ends a life of its part.
  bool ends_life() const { return ask.op == Op::kDelete || ask.op == Op::kReset; }
  // Whether it is a contribution to a round.
  bool contributes() const { return InfoOf(ask.op).round == OpRound::kContributes; }
};

// A list of requests through two of their fields, in the order in which they were added.
template <Request* Request::*kNext, Request* Request::*kPrevious>
class RequestList {
 public:
  Request* first() const { return first_; }
  Request* last() const { return last_; }
  void Add(Request* request) {
    request->*kPrevious = last_;
    request->*kNext = nullptr;
    (last_ != nullptr ? last_->*kNext : first_) = request;
    last_ = request;
  }
  void Remove(Request* request) {
    Request* const next = request->*kNext;
    Request* const previous = request->*kPrevious;
    (previous != nullptr ? previous->*kNext : first_) = next;
    (next != nullptr ? next->*kPrevious : last_) = previous;
  }

 private:
  Request* first_ = nullptr;
  Request* last_ = nullptr;
};

}  // namespace kvstore::client_internal
