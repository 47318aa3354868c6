#include "client/order/work_queue.h"

#include <pthread.h>

#include <algorithm>
#include <vector>

namespace kvstore {

WorkQueue::WorkQueue(const std::string& name) : thread_([this] { Loop(); }) {
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

WorkQueue::~WorkQueue() { Stop(); }

void WorkQueue::Show(KeyId key, const Lane& lane) {
  const uint64_t number = lane.entries.front().number;
  by_priority_.insert({-int64_t{lane.priority}, number, key});
  by_age_.insert({number, key});
}

void WorkQueue::Hide(KeyId key, const Lane& lane) {
  const uint64_t number = lane.entries.front().number;
  by_priority_.erase({-int64_t{lane.priority}, number, key});
  by_age_.erase({number, key});
}

void WorkQueue::Add(KeyId key, int priority, Task task) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      Lane& lane = lanes_[key];
      const bool shown = !lane.entries.empty() && !lane.running;
      if (shown) Hide(key, lane);
      const bool idle = lane.entries.empty() && !lane.running;
      lane.priority = idle ? priority : std::max(lane.priority, priority);
      lane.entries.push_back({++last_number_, std::move(task)});
      if (!lane.running) Show(key, lane);
      changed_.NotifyOne();
      return;
    }
  }
  task(false);
}

KeyId WorkQueue::Choose() {
  if (++turns_ % kAgingInterval == 0) return by_age_.begin()->second;
  return std::get<2>(*by_priority_.begin());
}

void WorkQueue::Loop() {
  while (true) {
    KeyId key = 0;
    Task task;
    {
      MutexLock lock(mutex_);
      while (by_age_.empty() && !stopping_) changed_.Wait(mutex_);
      if (stopping_) return;
      key = Choose();
      Lane& lane = lanes_[key];
      Hide(key, lane);
      task = std::move(lane.entries.front().task);
      lane.entries.pop_front();
      lane.running = true;
    }
    task(true);
    task = nullptr;  // what it captured goes before the next one of the key runs
    MutexLock lock(mutex_);
    const auto lane = lanes_.find(key);
    lane->second.running = false;
    if (lane->second.entries.empty()) {
      lanes_.erase(lane);
    } else {
      Show(key, lane->second);
    }
  }
}

void WorkQueue::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  std::vector<Task> dropped;
  {
    MutexLock lock(mutex_);
    for (auto& [key, lane] : lanes_) {
      for (Entry& entry : lane.entries) dropped.push_back(std::move(entry.task));
    }
    lanes_.clear();
    by_priority_.clear();
    by_age_.clear();
  }
  for (Task& task : dropped) task(false);
}

}  // namespace kvstore
