// ManualLoop: an event loop that its test steps, on the test's own thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "common/transport/transport.h"

namespace kvstore::testing {

// Runs what is posted when it is told to, by a clock that stands still in between. Its own memory
// is not what is tested.
class ManualLoop final : public EventLoop {
 public:
  void Post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  void PostAfter(int64_t delay_ms, std::function<void()> task) override {
    timers_.emplace(now_ms_ + delay_ms, std::move(task));
  }
  int64_t NowMs() const override { return now_ms_; }
  bool InLoop() const override { return true; }

  // Whether nothing will happen for long.
  bool idle() const {
    constexpr int64_t kLongMs = 1000;
    return tasks_.empty() && (timers_.empty() || timers_.begin()->first > now_ms_ + kLongMs);
  }
  // The next task; without one the next timer, and the clock is set to its time.
  std::function<void()> Next() {
    if (tasks_.empty()) {
      now_ms_ = std::max(now_ms_, timers_.begin()->first);
      tasks_.push_back(std::move(timers_.begin()->second));
      timers_.erase(timers_.begin());
    }
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

 private:
  int64_t now_ms_ = 0;
  std::deque<std::function<void()>> tasks_;
  std::multimap<int64_t, std::function<void()>> timers_;
};

}  // namespace kvstore::testing
