// WorkQueue: one background thread and its tasks. Tasks of one key run in the order in which they
// came; among keys the highest priority goes first, equal ones in the order in which they came. A
// task lends its priority to those of its key that are before it. Every kAgingInterval-th turn goes
// to the task that has waited longest, so that a low priority waits a bounded time.
//
// Example: key 1 has tasks of priority 0 and 9, key 2 one of priority 5, all waiting. Key 1's first
// task goes first, with the priority 9 of the one behind it; then its second; then key 2's.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "common/base/mutex.h"
#include "common/cluster/identity.h"

namespace kvstore {

// Thread-safe.
class WorkQueue {
 public:
  static constexpr uint64_t kAgingInterval = 16;

  // `run` is false when the queue was stopped before the task's turn came: then it only says so to
  // whoever waits for it. Must not throw.
  using Task = std::function<void(bool run)>;

  // `name` (at most 15 bytes) is the thread's.
  explicit WorkQueue(const std::string& name);
  ~WorkQueue();  // Stop
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // May throw std::bad_alloc; then the task was not taken. What is taken will run: nothing after
  // this takes memory.
  void Add(KeyId key, int priority, Task task) KVS_EXCLUDES(mutex_);
  bool InThread() const { return std::this_thread::get_id() == thread_.get_id(); }
  // Waits for the task that runs; the others, and those still to come, are called with false.
  // Idempotent. Not from the queue's own thread.
  void Stop() KVS_EXCLUDES(mutex_);

 private:
  struct Entry {
    uint64_t number = 0;  // in order of arrival
    Task task;
  };
  using ByPriority = std::set<std::tuple<int64_t, uint64_t, KeyId>>;  // -priority, number, key
  using ByAge = std::set<std::pair<uint64_t, KeyId>>;
  // The tasks of one key. Its first entry stands in both sets below, unless a task of it runs.
  struct Lane {
    Lane();

    std::deque<Entry> entries;
    int priority = 0;  // the highest of `entries`, and of those that ran since the lane was empty
    bool running = false;
    // The lane's elements of the two sets, kept here while it stands in neither.
    ByPriority::node_type by_priority;
    ByAge::node_type by_age;
  };

  void Loop() KVS_EXCLUDES(mutex_);
  void Show(KeyId key, Lane* lane) KVS_REQUIRES(mutex_);
  void Hide(KeyId key, Lane* lane) KVS_REQUIRES(mutex_);
  KeyId Choose() KVS_REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ KVS_GUARDED_BY(mutex_) = false;
  uint64_t last_number_ KVS_GUARDED_BY(mutex_) = 0;
  uint64_t turns_ KVS_GUARDED_BY(mutex_) = 0;
  std::unordered_map<KeyId, Lane> lanes_ KVS_GUARDED_BY(mutex_);
  ByPriority by_priority_ KVS_GUARDED_BY(mutex_);
  ByAge by_age_ KVS_GUARDED_BY(mutex_);
  std::thread thread_;  // last: starts when the rest is there
};

}  // namespace kvstore
