#include "common/transport/task_queue.h"

#include <algorithm>

#include "common/transport/transport.h"

namespace kvstore {

void TaskQueue::WakeIfNeeded() {
  if (!sleeping_ || wake_pending_) return;
  wake_pending_ = true;
  wake_();
}

void TaskQueue::Post(std::function<void()> task) {
  MutexLock lock(mutex_);
  if (closed_) return;
  tasks_.push_back(std::move(task));
  WakeIfNeeded();
}

void TaskQueue::PostAfter(int64_t delay_ms, std::function<void()> task) {
  // Rounded up: SteadyNowMs cuts off the fraction, and a task must not run early. Ten years stand
  // for never, and leave room to count in nanoseconds.
  constexpr int64_t kTenYearsMs = int64_t{10} * 366 * 24 * 3600 * 1000;
  const int64_t delay = std::clamp<int64_t>(delay_ms, 0, kTenYearsMs);
  const int64_t due_ms = SteadyNowMs() + delay + (delay > 0 ? 1 : 0);
  MutexLock lock(mutex_);
  if (closed_) return;
  const auto position = timers_.emplace(due_ms, std::move(task));
  if (position == timers_.begin()) WakeIfNeeded();
}

void TaskQueue::RunDue() {
  size_t due = 0;  // the first ones; what is posted meanwhile comes behind them
  {
    MutexLock lock(mutex_);
    sleeping_ = false;
    running_.swap(tasks_);
    if (!timers_.empty()) {
      const int64_t now_ms = SteadyNowMs();
      for (auto it = timers_.begin(); it != timers_.end() && it->first <= now_ms; ++it) ++due;
    }
  }
  for (std::function<void()>& task : running_) {
    task();
    task = nullptr;  // what it holds goes now, not when the whole batch is done
  }
  running_.clear();
  for (; due > 0; --due) {
    std::multimap<int64_t, std::function<void()>>::node_type timer;  // takes no memory
    {
      MutexLock lock(mutex_);
      timer = timers_.extract(timers_.begin());
    }
    timer.mapped()();
  }
}

int64_t TaskQueue::PrepareSleep() {
  MutexLock lock(mutex_);
  if (!tasks_.empty()) return 0;
  sleeping_ = true;
  return timers_.empty() ? kNever : timers_.begin()->first;
}

void TaskQueue::WakeArrived() {
  MutexLock lock(mutex_);
  wake_pending_ = false;
}

bool TaskQueue::Empty() {
  MutexLock lock(mutex_);
  return tasks_.empty();
}

void TaskQueue::Close() {
  // What is left is destroyed without the lock: a captured object's destructor may post.
  std::vector<std::function<void()>> tasks;
  std::multimap<int64_t, std::function<void()>> timers;
  MutexLock lock(mutex_);
  closed_ = true;
  tasks.swap(tasks_);
  timers.swap(timers_);
}

}  // namespace kvstore
