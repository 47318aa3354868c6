#include "client/order/work_queue.h"

#include <pthread.h>

#include <algorithm>
#include <new>

namespace kvstore {

WorkQueue::WorkQueue(const std::string& name) : thread_([this] { Loop(); }) {
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

WorkQueue::~WorkQueue() { Stop(); }

WorkQueue::Lane::Lane() {
  ByPriority one_priority;
  by_priority = one_priority.extract(one_priority.emplace().first);
  ByAge one_age;
  by_age = one_age.extract(one_age.emplace().first);
}

void WorkQueue::Show(KeyId key, Lane* lane) {
  const uint64_t number = lane->entries.front().number;
  lane->by_priority.value() = {-int64_t{lane->priority}, number, key};
  lane->by_age.value() = {number, key};
  by_priority_.insert(std::move(lane->by_priority));
  by_age_.insert(std::move(lane->by_age));
}

void WorkQueue::Hide(KeyId key, Lane* lane) {
  const uint64_t number = lane->entries.front().number;
  lane->by_priority = by_priority_.extract({-int64_t{lane->priority}, number, key});
  lane->by_age = by_age_.extract({number, key});
}

void WorkQueue::Add(KeyId key, int priority, Task task) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      Lane& lane = lanes_[key];
      const bool idle = lane.entries.empty() && !lane.running;
      const bool shown = !lane.entries.empty() && !lane.running;
      try {
        lane.entries.emplace_back();
      } catch (const std::bad_alloc&) {
        if (idle) lanes_.erase(key);
        throw;
      }
      if (shown) Hide(key, &lane);
      lane.priority = idle ? priority : std::max(lane.priority, priority);
      lane.entries.back().number = ++last_number_;
      lane.entries.back().task = std::move(task);
      if (!lane.running) Show(key, &lane);
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
      Hide(key, &lane);
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
      Show(key, &lane->second);
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
  std::unordered_map<KeyId, Lane> dropped;
  {
    MutexLock lock(mutex_);
    dropped.swap(lanes_);
    by_priority_.clear();
    by_age_.clear();
  }
  for (auto& [key, lane] : dropped) {
    for (Entry& entry : lane.entries) entry.task(false);
  }
}

}  // namespace kvstore
