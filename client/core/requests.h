// What ClientCore keeps of its open requests, of the parts they are about, and of its streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "client/core/client_core.h"
#include "common/base/mutation.h"

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
  Command command;
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

// C9: the open pushes of a part, as Unhold() meets them, in ascending order.
class OpenPushes {
 public:
  void Add(Round round) {
    if (round == newest_) return;  // a further fragment
    if (oldest_ == 0) oldest_ = round;
    newest_ = round;
    ++rounds_;
  }
  bool InWindow(Round round, uint32_t rounds_max) const {
    if (Broken(Mutation::kWindowCountsRounds)) return round == newest_ || rounds_ < rounds_max;
    return oldest_ == 0 || round - oldest_ < rounds_max;
  }

 private:
  Round oldest_ = 0;  // 0: none is open
  Round newest_ = 0;
  uint32_t rounds_ = 0;
};

struct PartQueue {
  Round last_round = 0;                   // of the last push submitted
  absl::InlinedVector<Request*, 2> open;  // in order of submission
};

// The requests that may be sent: the highest priority first, equal ones in the order of submission.
// Every kAgingInterval-th turn goes to the one that was submitted first, so that a low priority
// waits a bounded time. (An earlier request of a part is never behind a later one in either order.)
class ReadyQueue {
 public:
  static constexpr uint64_t kAgingInterval = 16;

  bool empty() const { return by_age_.empty(); }
  void Add(Request* request) {
    by_priority_[{-int64_t{request->ask.priority}, request->order}] = request;
    by_age_[request->order] = request;
  }
  void Remove(const Request& request) {
    by_priority_.erase({-int64_t{request.ask.priority}, request.order});
    by_age_.erase(request.order);
  }
  // Whose turn it is; the same until Take().
  Request& Next() const {
    return turn_ % kAgingInterval == 0 ? *by_age_.begin()->second : *by_priority_.begin()->second;
  }
  void Take() {
    Remove(Next());
    ++turn_;
  }

 private:
  absl::btree_map<std::pair<int64_t, uint64_t>, Request*> by_priority_;  // (-priority, order)
  absl::btree_map<uint64_t, Request*> by_age_;                           // order
  uint64_t turn_ = 1;
};

struct Stream {
  enum class Link { kDown, kDialing, kUp };
  Link link = Link::kDown;
  int64_t redial_at_ms = kNever;
  int64_t redial_delay_ms = 0;
  size_t window_bytes = 0;
  ReadyQueue ready;
  std::map<uint64_t, Request*> ready_probes;  // by order; never held up by the window, which an
                                              // answer may open
  absl::btree_map<RequestId, Request*> sent;  // kSent and kOwned
  // Try deadlines in the order of sending; entries of requests that moved on are stale.
  std::deque<std::pair<int64_t, RequestId>> tries;
};

struct ShardGroup {
  size_t remaining = 0;
  std::map<ServerRank, absl::Status> refusals;  // of each server the first
};

}  // namespace kvstore::client_internal
