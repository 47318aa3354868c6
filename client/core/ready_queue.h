// ReadyQueue: the requests that may be sent over one stream: the highest priority first, equal ones
// in the order of submission. Every kAgingInterval-th turn goes to the one that was submitted
// first, so that a low priority waits a bounded time. (An earlier request of a part is never behind
// a later one in either order.)
#pragma once

#include <cstdint>
#include <utility>

#include "absl/container/btree_map.h"
#include "client/core/request.h"

namespace kvstore::client_internal {

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

}  // namespace kvstore::client_internal
