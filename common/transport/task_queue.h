// TaskQueue: the tasks and timers of one event loop. The loops of both transports are this queue
// and a way to sleep. It outlives its loop in the hands of those who may still post; what they post
// then is dropped.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"

namespace kvstore {

// Thread-safe; the methods of the owner are for the loop's thread only. The owner's cycle:
//
//   RunDue(); until = PrepareSleep(); sleep until then or until `wake` was called; (WakeArrived();)
//
// `wake` is called once for any number of posts: only when the owner sleeps, and not again before
// WakeArrived. It runs on the posting thread with the queue's lock held, so that it never runs
// after Close: it must not call back into the queue.
class TaskQueue {
 public:
  static constexpr int64_t kNever = INT64_MAX;

  explicit TaskQueue(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Dropped when the queue is closed.
  void Post(std::function<void()> task) KVS_EXCLUDES(mutex_);
  void PostAfter(int64_t delay_ms, std::function<void()> task) KVS_EXCLUDES(mutex_);
  bool InOwner() const {
    return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  // ---- owner
  void Adopt() { owner_.store(std::this_thread::get_id(), std::memory_order_relaxed); }
  // Runs the tasks posted so far and the timers that are due; tasks that these post wait for the
  // next call.
  void RunDue() KVS_EXCLUDES(mutex_);
  // When to run again, in ms of SteadyNowMs: 0 when there is work now, kNever without timers.
  int64_t PrepareSleep() KVS_EXCLUDES(mutex_);
  void WakeArrived() KVS_EXCLUDES(mutex_);
  bool Empty() KVS_EXCLUDES(mutex_);  // of tasks; timers do not count
  void Close() KVS_EXCLUDES(mutex_);

 private:
  void WakeIfNeeded() KVS_REQUIRES(mutex_);

  const std::function<void()> wake_;
  // Relaxed: a thread only ever looks for its own id, which it wrote itself.
  std::atomic<std::thread::id> owner_{};
  Mutex mutex_;
  std::vector<std::function<void()>> tasks_ KVS_GUARDED_BY(mutex_);
  // Equal times keep the order in which they were posted (std::multimap promises it).
  std::multimap<int64_t, std::function<void()>> timers_ KVS_GUARDED_BY(mutex_);
  bool sleeping_ KVS_GUARDED_BY(mutex_) = false;
  bool wake_pending_ KVS_GUARDED_BY(mutex_) = false;
  bool closed_ KVS_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> running_;  // owner's; kept for its capacity
};

}  // namespace kvstore
