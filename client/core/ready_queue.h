// ReadyQueue: the requests that may be sent over one stream: the highest priority first, equal ones
// in the order of submission. Every kAgingInterval-th turn goes to the one that was submitted
// first, so that a low priority waits a bounded time. (An earlier request of a part is never behind
// a later one in either order.)
//
// Takes no memory: a request brings its elements (request.h).
#pragma once

#include <cstdint>
#include <utility>

#include "client/core/request.h"

namespace kvstore::client_internal {

class ReadyQueue {
 public:
  static constexpr uint64_t kAgingInterval = 16;

  bool empty() const { return by_age_.empty(); }
  void Add(Request* request) {
    request->by_turn.key() = {-int64_t{request->ask.priority}, request->order};
    // Mostly it is the last one of both: then neither is searched.
    by_priority_.insert(by_priority_.end(), std::move(request->by_turn));
    request->by_order.key() = request->order;
    by_age_.insert(by_age_.end(), std::move(request->by_order));
  }
  void Remove(Request* request) {
    request->by_turn = by_priority_.extract({-int64_t{request->ask.priority}, request->order});
    request->by_order = by_age_.extract(request->order);
  }
  // Whose turn it is; the same until Take().
  Request& Next() const {
    return turn_ % kAgingInterval == 0 ? *by_age_.begin()->second : *by_priority_.begin()->second;
  }
  void Take() {
    Request& next = Next();
    // Mostly it is the first one of both.
    next.by_turn = by_priority_.begin()->second == &next
                       ? by_priority_.extract(by_priority_.begin())
                       : by_priority_.extract({-int64_t{next.ask.priority}, next.order});
    next.by_order = by_age_.begin()->second == &next ? by_age_.extract(by_age_.begin())
                                                     : by_age_.extract(next.order);
    ++turn_;
  }

 private:
  ByTurn by_priority_;  // (-priority, order)
  ByOrder by_age_;      // order
  uint64_t turn_ = 1;
};

}  // namespace kvstore::client_internal
